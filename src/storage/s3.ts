import type { FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { S3Client } from '@aws-sdk/client-s3'
import pLimit from 'p-limit'
import { pause } from '../deadline.ts'
import { JobError } from '../jobs/errors.ts'
import type { S3Config } from './config.ts'
import { s3Failure } from './s3-failure.ts'
import type { PutOptions, Storage, TempFile } from './storage.ts'

export type ObjectStoreOptions = Pick<S3Config, 'region' | 'endpoint' | 'force_path_style' | 'checksum'> & {
  /** Objects larger than this go up in parts. */
  multipartBytes?: number
}

const MIB = 1024 * 1024
/** Uploads at once of one process and region. */
const UPLOADS = 32
/** Parts of one upload at once, and their size; S3 takes 10,000 parts of at least 5 MiB. */
const PARTS = 2
const PART_BYTES = 8 * MIB
const MAX_PARTS = 9_000
const READ_BYTES = MIB / 4
const TRIES = 3
const FIRST_PAUSE_MS = 100
const CONNECT_TIMEOUT_MS = 5000
/** No byte for that long, and an answer takes no longer than that. */
const SILENCE_MS = 30_000

/** The objects of one region, whatever their bucket. The SDK is loaded, and a client made, on first use. */
export function objectStore(options: ObjectStoreOptions) {
  const { region, endpoint, force_path_style: forcePathStyle, checksum, multipartBytes = 64 * MIB } = options
  const limit = pLimit(UPLOADS)
  let loading: Promise<{ client: S3Client; s3: typeof import('@aws-sdk/client-s3') }> | undefined

  async function load() {
    // The SDK announces on each start that it will want a newer Node one day.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
    const s3 = await import('@aws-sdk/client-s3')
    const client = new s3.S3Client({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(forcePathStyle === undefined ? {} : { forcePathStyle }),
      maxAttempts: 1, // a body that is streamed cannot be sent again by the SDK: we do
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        socketTimeout: SILENCE_MS,
        httpAgent: { maxSockets: UPLOADS * PARTS },
        httpsAgent: { maxSockets: UPLOADS * PARTS },
      },
    })
    return { client, s3 }
  }

  const loaded = () => {
    loading ??= load()
    return loading
  }

  /** @throws whatever the SDK throws, and what broke the reading of the file */
  async function upload(bucket: string, file: TempFile, key: string, options: PutOptions, signal: AbortSignal) {
    const { client, s3 } = await loaded()
    const params = { Bucket: bucket, Key: key, ContentType: options.mimeType, Metadata: options.metadata ?? {} }
    const body = file.bytes ?? Readable.from(piecesOf(file.handle), { objectMode: false })
    const unread = new AbortController() // the SDK would wait for ever for a body that broke
    if (!Buffer.isBuffer(body)) body.once('error', (error) => unread.abort(error))
    const either = AbortSignal.any([signal, unread.signal])
    try {
      either.throwIfAborted()
      if (file.size <= multipartBytes) {
        const sum = checksum === 'crc32' ? { ChecksumCRC32: crc32Base64(file.crc32) } : {}
        const command = new s3.PutObjectCommand({ ...params, ...sum, Body: body, ContentLength: file.size })
        await client.send(command, { abortSignal: either })
      } else {
        const { Upload } = await import('@aws-sdk/lib-storage')
        const parts = new Upload({
          client,
          params: { ...params, Body: body, ...(checksum === 'crc32' ? { ChecksumAlgorithm: 'CRC32' } : {}) },
          queueSize: PARTS,
          partSize: Math.max(PART_BYTES, Math.ceil(file.size / MAX_PARTS)),
          leavePartsOnError: false,
        })
        const onAbort = () => void parts.abort()
        either.addEventListener('abort', onAbort, { once: true })
        await parts.done()
      }
    } catch (error) {
      unread.signal.throwIfAborted()
      throw error
    } finally {
      if (!Buffer.isBuffer(body)) body.destroy()
    }
  }

  return {
    async put(bucket: string, file: TempFile, key: string, options: PutOptions, signal: AbortSignal): Promise<void> {
      await limit(async () => {
        for (let tries = 1; ; tries++) {
          signal.throwIfAborted()
          options.confirm()
          try {
            return await upload(bucket, file, key, options, signal)
          } catch (error) {
            signal.throwIfAborted()
            const failure = s3Failure(error, bucket, region)
            if (!(failure instanceof JobError && failure.retriable) || tries === TRIES) throw failure
            await pause(FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random()), signal)
          }
        }
      })
    },

    /** An object that is not there is fine. */
    async delete(bucket: string, key: string, signal: AbortSignal): Promise<void> {
      const { client, s3 } = await loaded()
      try {
        await client.send(new s3.DeleteObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal })
      } catch (error) {
        signal.throwIfAborted()
        if ((error as Error).name !== 'NoSuchKey') throw s3Failure(error, bucket, region)
      }
    },

    async close(): Promise<void> {
      if (loading) (await loading).client.destroy()
    },
  }
}

export type ObjectStore = ReturnType<typeof objectStore>

/** Files as objects of one bucket. */
export function s3Storage(config: Omit<S3Config, 'type'> & { multipartBytes?: number }): Storage {
  const { bucket, region } = config
  const store = objectStore(config)
  return {
    name: `s3:${region}/${bucket}`,
    async put(file, path, options, signal) {
      await store.put(bucket, file, path, options, signal)
      return { moved: false }
    },
    delete: (path, signal) => store.delete(bucket, path, signal),
    close: () => store.close(),
  }
}

/** Not a stream of the handle, which would close it: a second try reads it again. */
async function* piecesOf(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(READ_BYTES), 0, READ_BYTES, at)
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

function crc32Base64(crc32: number): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32)
  return bytes.toString('base64')
}
