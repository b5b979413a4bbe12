import { createReadStream } from 'node:fs'
import zlib from 'node:zlib'
import type { CompletedPart } from '@aws-sdk/client-s3'
import { JobError } from '../jobs/errors.ts'
import type { S3Config } from './config.ts'
import { range, type S3Requests, unreadable } from './s3-requests.ts'
import type { PutOptions, TempFile } from './storage.ts'

/** An object to be. */
export interface S3Put {
  bucket: string
  key: string
  file: TempFile
  options: PutOptions
  /** Whether S3 is told what to verify. */
  checksum: S3Config['checksum']
}

/** S3 takes 10,000. */
const MAX_PARTS = 9_000
/** How much later than it is told to stop an upload may still hear its name, and then have its parts taken away. */
const LAST_WORDS_MS = 5000

export async function putWhole({ send }: S3Requests, put: S3Put, signal: AbortSignal): Promise<void> {
  const { bucket, file, options } = put
  const request = { bucket, bytes: file.size, from: { file, start: 0 }, confirm: () => options.confirm() }
  const object = { ...objectOf(put), ...detailsOf(put), ...sumOf(put, file.crc32) }
  await send(request, (s3, options, body) => s3.putObject({ ...object, ...body }, options), signal)
}

/**
 * Sends one part after the other, so that nothing is held in memory. S3 verifies each part against what was read here,
 * and what was read here is verified against the file's own checksum before the parts become an object.
 */
export async function putInParts(
  { send }: S3Requests,
  put: S3Put,
  partBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const { bucket, file } = put
  const confirm = () => put.options.confirm()
  const UploadId = await outliving(signal, LAST_WORDS_MS, begin)
  const upload = { ...objectOf(put), UploadId }
  try {
    const completed = { ...upload, MultipartUpload: { Parts: await sendParts() } }
    const request = { bucket, bytes: file.size, confirm }
    await send(request, (s3, options) => s3.completeMultipartUpload(completed, options), signal)
  } catch (error) {
    // what this does not reach, a lifecycle rule of the bucket does
    const last = AbortSignal.timeout(LAST_WORDS_MS)
    await send({ bucket }, (s3, options) => s3.abortMultipartUpload(upload, options), last).catch(() => {})
    throw error
  }

  async function begin(signal: AbortSignal): Promise<string> {
    const verified = put.checksum === 'crc32' ? { ChecksumAlgorithm: 'CRC32' as const } : {}
    const object = { ...objectOf(put), ...detailsOf(put), ...verified }
    const { UploadId } = await send(
      { bucket, confirm },
      (s3, options) => s3.createMultipartUpload(object, options),
      signal,
    )
    if (!UploadId) throw new JobError('storage.failed', `the bucket ${bucket} began no upload`, { retriable: true })
    return UploadId
  }

  async function sendParts(): Promise<CompletedPart[]> {
    const parts: CompletedPart[] = []
    const step = Math.max(partBytes, Math.ceil(file.size / MAX_PARTS))
    let whole = 0
    for (let start = 0; start < file.size; start += step) {
      const bytes = Math.min(step, file.size - start)
      let sum = 0
      for await (const chunk of piece(file, start, bytes)) {
        sum = zlib.crc32(chunk, sum)
        whole = zlib.crc32(chunk, whole)
      }
      const PartNumber = parts.length + 1
      const part = { ...upload, ...sumOf(put, sum), PartNumber }
      const { ETag, ChecksumCRC32 } = await send(
        { bucket, bytes, from: { file, start } },
        (s3, options, body) => s3.uploadPart({ ...part, ...body }, options),
        signal,
      )
      // the sum only if it was said back: look-alikes that know none do not know it in the list either
      parts.push({ PartNumber, ...(ETag && { ETag }), ...(ChecksumCRC32 && { ChecksumCRC32 }) })
    }
    if (whole !== file.crc32) throw unreadable(new Error('it is not what was downloaded'))
    return parts
  }
}

/** Runs `work` with a signal that aborts `ms` after `signal` does: an upload that S3 began is ours to end. */
async function outliving<T>(signal: AbortSignal, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  signal.throwIfAborted()
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const onAbort = () => {
    timer = setTimeout(() => controller.abort(signal.reason), ms)
  }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

async function* piece(file: TempFile, start: number, bytes: number): AsyncGenerator<Buffer> {
  if (file.bytes) return yield file.bytes.subarray(start, start + bytes)
  try {
    yield* createReadStream(file.path, range(start, bytes))
  } catch (error) {
    throw unreadable(error as Error)
  }
}

const objectOf = ({ bucket, key }: S3Put) => ({ Bucket: bucket, Key: key })
const detailsOf = ({ options }: S3Put) => ({ ContentType: options.mimeType, Metadata: options.metadata ?? {} })

function sumOf({ checksum }: S3Put, crc32: number) {
  if (checksum === 'none') return {}
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32)
  return { ChecksumCRC32: bytes.toString('base64') }
}
