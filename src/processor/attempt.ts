import { type FileHandle, rm } from 'node:fs/promises'
import zlib from 'node:zlib'
import { withDeadline } from '../deadline.ts'
import { parseChecksum } from '../jobs/checksum.ts'
import { JobError } from '../jobs/errors.ts'
import type { DownloadRequest, DownloadResult, Job } from '../jobs/job.ts'
import { parseMimePattern } from '../jobs/mime-pattern.ts'
import type { Lease } from '../leases.ts'
import type { PutOptions, TempFile } from '../storage/storage.ts'
import type { Fetcher } from './fetch/fetch.ts'
import { lowerLimit } from './limits.ts'
import { type TempFiles, tempFileFailure } from './temp-files.ts'
import { checkedImage } from './verify/checked-image.ts'
import { type Digests, digests } from './verify/digests.ts'
import type { MimeDetector } from './verify/mime-detector.ts'
import { readHead } from './verify/read-head.ts'

export interface AttemptDeps {
  fetcher: Fetcher
  tempFiles: TempFiles
  mime: Pick<MimeDetector, 'detect'>
  /** Puts the file where this job wants it. Resolves to the path that is ours to delete one day, if any. */
  store(job: Job, request: DownloadRequest, file: TempFile, options: StoreOptions, signal: AbortSignal): Promise<Stored>
  /** Most bytes of a body; 0 means no limit. */
  maxBytes: number
  /** Most pixels of an image; 0 means no limit. */
  maxPixels: number
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
 * @returns the result of a success
 * @throws {JobError} with the origin's status, when there was a response
 * @throws the lease's reason, when it aborts
 */
export function attempt({ fetcher, tempFiles, mime, store, maxBytes, maxPixels }: AttemptDeps) {
  return async (job: Job, request: DownloadRequest, lease: Lease): Promise<DownloadResult> => {
    const timeoutS = request.downloadTimeoutS ?? 0
    if (timeoutS === 0) return run(job, request, lease, lease.signal)
    const expired = () =>
      new JobError('timeout.total', `the download took longer than ${timeoutS} s`, { retriable: true })
    return withDeadline(timeoutS * 1000, lease.signal, (signal) => run(job, request, lease, signal), expired)
  }

  async function run(job: Job, request: DownloadRequest, lease: Lease, signal: AbortSignal): Promise<DownloadResult> {
    const response = await fetcher.fetch(
      {
        url: request.url,
        headers: request.requestHeaders ?? {},
        proxy: lease.claim.gift || undefined, // the aggregation's, as its first job gave it, not this job's
        maxBytes: lowerLimit(maxBytes, request.maxBytes),
      },
      signal,
    )
    let mimeType = ''
    try {
      const { head, rest, complete } = await readHead(response.body)
      if (complete) lease.leave()
      mimeType = await mime.detect(head, complete)
      const complaint = request.mimeType ? parseMimePattern(request.mimeType).check(mimeType) : undefined
      if (complaint) throw new JobError('mime.mismatch', complaint, { retriable: false })
      return await receive(head, rest, mimeType, job, request, lease, signal, response.status)
    } catch (error) {
      await response.discard()
      throw withFindings(error, response.status, mimeType)
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
      const digest = digests(request.checksum ? parseChecksum(request.checksum) : undefined)
      const { size, sha256, crc32, last } = await takeAll(head, rest, digest, lease.leave, spill)
      if (handle) await spill(last)
      const file: TempFile = handle ? { path, size, crc32, handle } : { path, size, crc32, bytes: last }
      const received = { handle, head: handle ? head : last, size, mimeType }
      const image = await checkedImage(received, request, maxPixels, signal)
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

/**
 * Receives the rest of a body. A small one stays in memory; of a larger one all but the last piece is spilled as it comes.
 *
 * @param digest ends when the origin has sent all, and may throw then
 * @param received called when the origin has sent all: what is left is between us and our disk
 * @param spill takes the next piece
 * @returns `last`: what was not spilled
 */
async function takeAll(
  head: Buffer,
  rest: AsyncIterator<Uint8Array>,
  digest: Digests,
  received: () => void,
  spill: (bytes: Buffer) => Promise<void>,
) {
  digest.update(head)
  let crc32 = zlib.crc32(head)
  let size = head.length
  let waiting: Uint8Array[] = [head]
  let waitingBytes = head.length
  for (let next = await rest.next(); !next.done; next = await rest.next()) {
    const chunk = next.value
    digest.update(chunk)
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
  return { size, sha256: digest.verified(), crc32, last: joined(waiting) }
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

/** A failure after the response came carries its status, and the type as soon as it is known. */
function withFindings(error: unknown, status: number, mimeType: string): unknown {
  if (!(error instanceof JobError) || error.responseCode !== 0) return error
  const { code, message, retriable, retryAfterMs, cause } = error
  return new JobError(code, message, {
    retriable,
    responseCode: status,
    mimeType,
    cause,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}
