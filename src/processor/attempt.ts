import { withDeadline } from '../deadline.ts'
import { parseChecksum } from '../jobs/checksum.ts'
import { type ErrorCode, JobError } from '../jobs/errors.ts'
import type { DownloadRequest, DownloadResult, Job } from '../jobs/job.ts'
import { parseMimePattern } from '../jobs/mime-pattern.ts'
import { HandBack, type Lease, LeaseLost } from '../leases.ts'
import type { Log } from '../log.ts'
import type { PutOptions, TempFile } from '../storage/storage.ts'
import type { Fetcher, FetchResponse } from './fetch/fetch.ts'
import type { Journey } from './fetch/journey.ts'
import type { Rest } from './fetch/version.ts'
import { lowerLimit } from './limits.ts'
import type { Partials } from './partials.ts'
import type { Spool } from './spool.ts'
import { checkedImage } from './verify/checked-image.ts'
import type { MimeDetector } from './verify/mime-detector.ts'
import { readHead } from './verify/read-head.ts'
import { BeganAnew, wholeBody } from './whole-body.ts'

export interface AttemptDeps {
  fetcher: Fetcher
  partials: Pick<Partials, 'begin' | 'take'>
  mime: Pick<MimeDetector, 'detect'>
  /** Puts the file where this job wants it. Resolves to the path that is ours to delete one day, if any. */
  store(job: Job, request: DownloadRequest, file: TempFile, options: StoreOptions, signal: AbortSignal): Promise<Stored>
  /** Most bytes of a body; 0 means no limit. */
  maxBytes: number
  /** Most pixels of an image; 0 means no limit. */
  maxPixels: number
  log: Log
}

export type StoreOptions = Pick<PutOptions, 'mimeType' | 'confirm'>

export interface Stored {
  path: string | undefined
  /** Whether the temporary file itself became the stored one. */
  moved: boolean
}

/** How often an attempt begins anew with what the origin sends instead of the rest. */
const MOST_BEGINNINGS = 2

/**
 * One attempt at a download, as a pipeline: fetch, look at the first bytes, receive the rest, measure, store.
 *
 * @param journey told of what the download goes through
 * @returns the result of a success
 * @throws {JobError} with the origin's status, when there was a response
 * @throws the lease's reason, when it aborts
 */
export function attempt({ fetcher, partials, mime, store, maxBytes, maxPixels, log }: AttemptDeps) {
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
    const most = lowerLimit(maxBytes, request.maxBytes)
    const checksum = request.checksum ? parseChecksum(request.checksum) : undefined
    const ask = (rest?: Rest) =>
      fetcher.fetch({ url: request.url, headers, proxy, maxBytes: most, rest, journey }, signal)
    let spool = job.handled ? await partials.take(job.id, checksum, signal) : undefined
    let response: FetchResponse | undefined
    try {
      response = await ask(fitting(spool?.rest(), most))
      for (let beginnings = 1; ; beginnings++) {
        if (!spool || response.from === 0) {
          await spool?.close()
          spool = partials.begin(job.id, checksum, response.version)
        }
        try {
          return await receive({ job, request, lease, first: response, ask, spool }, signal)
        } catch (error) {
          if (!(error instanceof BeganAnew)) throw error
          response = error.response
          if (beginnings === MOST_BEGINNINGS) throw error.cause
        }
      }
    } catch (error) {
      await response?.discard()
      if (isWorthKeeping(error)) await spool?.keep()
      throw response ? withFindings(error, statusOf(response), '') : error
    } finally {
      journey.bytes = spool?.size() ?? 0
      await spool?.close()
    }
  }

  /** Another processor may have taken more than this one may. */
  function fitting(rest: Rest | undefined, most: number): Rest | undefined {
    return rest && most > 0 && rest.version.size > most ? undefined : rest
  }

  async function receive(transfer: Transfer, signal: AbortSignal): Promise<DownloadResult> {
    const { job, request, lease, first, ask, spool } = transfer
    const broke = ({ code, message }: JobError, from: number) =>
      log.debug({ job_id: job.id, code, error: message, from }, 'a transfer broke: asking for the rest')
    const askInTurn = async (rest: Rest) => {
      await lease.turn(signal)
      return ask(rest)
    }
    const body = wholeBody({ first, version: spool.version, ask: askInTurn, broke }, signal)
    let mimeType = ''
    try {
      const { head, complete } =
        spool.size() > 0 ? { head: spool.head, complete: false } : await readHead(body, lease.progress)
      if (complete) lease.leave()
      mimeType = await mime.detect(head, complete)
      const complaint = request.mimeType ? parseMimePattern(request.mimeType).check(mimeType) : undefined
      if (complaint) throw new JobError('mime.mismatch', complaint, { retriable: false })
      if (spool.size() === 0) spool.add(head)
      await takeAll(body, spool, lease)
      lease.leave()
      const { file, sha256 } = await spool.finish()
      const received = { handle: file.handle, head: file.bytes ?? head, size: file.size, mimeType }
      const image = await checkedImage(received, request, maxPixels, signal)
      const stored = await store(job, request, file, { mimeType, confirm: lease.confirm }, signal)
      spool.stored = stored.moved
      return {
        success: true,
        error: '',
        errorCode: '',
        responseCode: statusOf(first),
        imageSize: image ? `${image.width}x${image.height}` : '',
        size: file.size,
        sha256,
        mimeType,
        path: stored.path,
      }
    } catch (error) {
      await body.return?.()
      throw withFindings(error, statusOf(first), mimeType)
    }
  }
}

/** One version of a file on its way here. */
interface Transfer {
  job: Job
  request: DownloadRequest
  lease: Lease
  first: FetchResponse
  ask(rest: Rest): Promise<FetchResponse>
  spool: Spool
}

async function takeAll(body: AsyncIterator<Uint8Array>, spool: Spool, lease: Pick<Lease, 'progress'>): Promise<void> {
  for (let next = await body.next(); !next.done; next = await body.next()) {
    const full = spool.add(next.value)
    lease.progress(spool.size())
    if (full) await spool.spill()
  }
}

/** A rest that was asked for makes a whole: that it came in parts is between us and the origin. */
function statusOf({ from, status }: FetchResponse): number {
  return from > 0 ? 200 : status
}

/** After these, what came is not trusted, or it takes the room that is missing. */
const worthless: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'response.malformed',
  'body.encoding',
  'verify.checksum',
  'storage.full',
])

function isWorthKeeping(error: unknown): boolean {
  if (error instanceof JobError) return error.retriable && !worthless.has(error.code)
  return error instanceof HandBack || error instanceof LeaseLost
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
