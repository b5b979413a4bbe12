import { createHash } from 'node:crypto'
import { type FileHandle, rm } from 'node:fs/promises'
import zlib from 'node:zlib'
import { withDeadline } from '../deadline.ts'
import { JobError } from '../jobs/errors.ts'
import type { DownloadRequest, DownloadResult, Job } from '../jobs/job.ts'
import { parseMimePattern } from '../jobs/mime-pattern.ts'
import type { Lease } from '../leases.ts'
import type { PutOptions, TempFile } from '../storage/storage.ts'
import type { Fetcher, FetchResponse } from './fetch/fetch.ts'
import type { Journey } from './fetch/journey.ts'
import { type TempFiles, tempFileFailure } from './temp-files.ts'
import { imageSize } from './verify/image-size.ts'
import { detectMime, SNIFF_BYTES } from './verify/mime.ts'

export interface AttemptDeps {
  fetcher: Fetcher
  tempFiles: TempFiles
  /** Puts the file where this job wants it. Resolves to the path that is ours to delete one day, if any. */
  store(job: Job, request: DownloadRequest, file: TempFile, options: StoreOptions, signal: AbortSignal): Promise<Stored>
  /** Most bytes of a body; 0 means no limit. */
  maxBytes: number
}

export type StoreOptions = Pick<PutOptions, 'mimeType' | 'confirm'>

export interface Stored {
  path: string | undefined
  /** Whether the temporary file itself became the stored one. */
  moved: boolean
}

/** What was received is gathered up to this size before it is written; a body that stays below is never spilled. */
const WRITE_BYTES = 256 * 1024

/**
 * One attempt at a download, as a pipeline: fetch, look at the first bytes, receive the rest, measure, store.
 *
 * @param journey told of what the download goes through
 * @returns the result of a success
 * @throws {JobError} with the origin's status, when there was a response
 * @throws the lease's reason, when it aborts
 */
export function attempt({ fetcher, tempFiles, store, maxBytes }: AttemptDeps) {
  return async (job: Job, request: DownloadRequest, lease: Lease, journey: Journey): Promise<DownloadResult> => {
    const timeoutS = request.downloadTimeoutS ?? 0
    if (timeoutS === 0) return run(job, request, lease, journey, lease.signal)
    const expired = () =>
      new JobError('timeout.total', `the download took longer than ${timeoutS} s`, { retriable: true })
    return withDeadline(timeoutS * 1000, lease.signal, (signal) => run(job, request, lease, journey, signal), expired)
  }

  async function run(job: Job, request: DownloadRequest, lease: Lease, journey: Journey, signal: AbortSignal) {
    const headers = request.requestHeaders ?? {}
    const proxy = lease.claim.gift || undefined // the aggregation's, as its first job gave it, not this job's
    const response = await fetcher.fetch({ url: request.url, headers, proxy, maxBytes, journey }, signal)
    try {
      const { head, rest, complete } = await readHead(response)
      if (complete) lease.leave()
      const mimeType = await detectMime(head, complete)
      const complaint = request.mimeType ? parseMimePattern(request.mimeType).check(mimeType) : undefined
      if (complaint) {
        throw new JobError('mime.mismatch', complaint, { retriable: false, responseCode: response.status, mimeType })
      }
      return await receive(head, rest, mimeType, job, request, lease, signal, response.status)
    } catch (error) {
      await response.discard()
      throw withStatus(error, response.status)
    }
  }

  async function receive(
    head: Buffer,
    rest: AsyncIterator<Uint8Array>,
    mimeType: string,
    job: Job,
    request: DownloadRequest,
    lease: Lease,
    signal: AbortSignal,
    status: number,
  ): Promise<DownloadResult> {
    const path = tempFiles.pathOf(job.id)
    let handle = undefined as FileHandle | undefined
    let moved = false
    try {
      const spill = async (bytes: Buffer) => {
        handle ??= await tempFiles.create(path)
        await writeFully(handle, bytes)
      }
      const { size, sha256, crc32, last } = await takeAll(head, rest, lease.leave, spill)
      if (handle) await spill(last)
      const file: TempFile = handle ? { path, size, crc32, handle } : { path, size, crc32, bytes: last }
      const image = request.extractImageSize
        ? await imageSize({ handle, head: handle ? head : last, size, mimeType }, signal)
        : undefined
      const stored = await store(job, request, file, { mimeType, confirm: lease.confirm }, signal)
      moved = stored.moved
      return {
        success: true,
        error: '',
        errorCode: '',
        responseCode: status,
        imageSize: image ? `${image.width}x${image.height}` : '',
        size,
        sha256,
        mimeType,
        path: stored.path,
      }
    } finally {
      await handle?.close()
      if (handle && !moved) await rm(path, { force: true })
    }
  }
}

/** Reads until the type can be judged: the full first bytes, or a body that ended properly. */
async function readHead(response: FetchResponse) {
  const rest = response.body[Symbol.asyncIterator]()
  const chunks: Uint8Array[] = []
  let bytes = 0
  while (bytes < SNIFF_BYTES) {
    const { done, value } = await rest.next()
    if (done) return { head: Buffer.concat(chunks), rest, complete: true }
    chunks.push(value)
    bytes += value.length
  }
  return { head: Buffer.concat(chunks), rest, complete: false }
}

/**
 * Receives the rest of a body. A small one stays in memory; of a larger one all but the last piece is spilled as it comes.
 *
 * @param received called when the origin has sent all: what is left is between us and our disk
 * @param spill takes the next piece
 * @returns `last`: what was not spilled
 */
async function takeAll(
  head: Buffer,
  rest: AsyncIterator<Uint8Array>,
  received: () => void,
  spill: (bytes: Buffer) => Promise<void>,
) {
  const hash = createHash('sha256').update(head)
  let crc32 = zlib.crc32(head)
  let size = head.length
  let waiting: Uint8Array[] = [head]
  let waitingBytes = head.length
  for (let next = await rest.next(); !next.done; next = await rest.next()) {
    const chunk = next.value
    hash.update(chunk)
    crc32 = zlib.crc32(chunk, crc32)
    size += chunk.length
    waiting.push(chunk)
    waitingBytes += chunk.length
    if (waitingBytes >= WRITE_BYTES) {
      await spill(joined(waiting))
      waiting = []
      waitingBytes = 0
    }
  }
  received()
  return { size, sha256: hash.digest('hex'), crc32, last: joined(waiting) }
}

function joined(chunks: Uint8Array[]): Buffer {
  const [only] = chunks
  return chunks.length === 1 && Buffer.isBuffer(only) ? only : Buffer.concat(chunks)
}

async function writeFully(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  try {
    let left = bytes
    while (left.length > 0) {
      const { bytesWritten } = await handle.write(left)
      left = left.subarray(bytesWritten)
    }
  } catch (error) {
    throw tempFileFailure(error)
  }
}

/** A failure after the response came carries its status. */
function withStatus(error: unknown, status: number): unknown {
  if (!(error instanceof JobError) || error.responseCode !== 0) return error
  const { code, message, retriable, retryAfterMs, cause } = error
  return new JobError(code, message, {
    retriable,
    responseCode: status,
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
