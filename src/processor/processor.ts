import pLimit from 'p-limit'
import { deletionRetryDelayMs, downloadRetryDelayMs, throttleDelayMs } from '../jobs/backoff.ts'
import { asJobError, endedNow, failureOf, JobError } from '../jobs/errors.ts'
import { type DownloadResult, filePath, type Job } from '../jobs/job.ts'
import type { Outcome } from '../jobs/places.ts'
import { Cancelled, type Lease, whyLetGo } from '../leases.ts'
import type { Log } from '../log.ts'
import type { Storage } from '../storage/storage.ts'
import type { attempt } from './attempt.ts'
import type { EndedAttempt } from './ended-attempt.ts'
import { type Journey, newJourney, travelled } from './fetch/journey.ts'
import type { ProcessorStats } from './stats.ts'
import { holdOf, isThrottled, verdictOn } from './verdict.ts'

export interface DownloadingOptions {
  attempt: ReturnType<typeof attempt>
  /** Removes what attempts at a job have left for the next one. */
  drop(jobId: string): Promise<void>
  /** Name of the storage whose deletions room the job goes through at its end. */
  storage: string
  maxRetries: number
  retryBackoffMs: number
  maxStalls: number
  stats: ProcessorStats
  /** Told of every attempt once. */
  ended(attempt: EndedAttempt): void
  log: Log
}

/** A job may be throttled so often, and so long after it came: then each time is an attempt. */
const MAX_THROTTLES = 50
const MAX_THROTTLED_MS = 24 * 3_600_000

/** What to do with a job of the downloads room: one attempt, and what follows from how it ended. */
export function downloading(options: DownloadingOptions): (lease: Lease) => Promise<Outcome> {
  const { storage, maxRetries, retryBackoffMs, maxStalls, stats, log } = options

  return async (lease) => {
    const { job, group, gift } = lease.claim
    const { request } = job
    if (!request) throw new Error(`job ${job.id} has no request`)
    if (job.cancelled) return { kind: 'cancelled', storage }
    const journey = newJourney()
    const counted = stats.attemptBegins(group)
    const leave = () => {
      counted.leave()
      lease.leave()
    }
    try {
      if (job.stalls >= maxStalls) throw stalled(job.stalls)
      const ended = await options.attempt(job, request, { ...lease, leave }, journey)
      const result = { ...ended, ...travelled(journey) }
      stats.succeeded(result.responseCode)
      tell('ok', { result })
      return { kind: 'downloaded', result, storage, ended: endedNow(journey.begun), ...about() }
    } catch (error) {
      const letGo = whyLetGo(error)
      if (letGo) tell(letGo)
      if (error instanceof Cancelled) return { kind: 'cancelled', storage }
      if (letGo) throw error
      const failure = asJobError(error)
      if (failure !== error) log.error({ job_id: job.id, err: error }, 'an attempt ran into a bug')
      stats.failed(failure)
      const outcome = await afterFailure(failure)
      const retryDelayMs = 'delayMs' in outcome ? outcome.delayMs : undefined
      tell(failure.code, { failure, retryDelayMs, putOff: outcome.kind === 'download-throttled' })
      return outcome
    } finally {
      counted.end()
    }

    function about(failure?: JobError) {
      const verdict = verdictOn(request?.url ?? '', gift !== '', failure)
      return verdict && { verdict }
    }

    async function afterFailure(failure: JobError): Promise<Outcome> {
      const retries = request?.maxRetries ?? maxRetries
      const n = job.attempts + 1
      const { retriable, retryAfterMs } = failure
      const holdMs = holdOf(failure) // the origin asked us to wait, not only this job
      const origin = { ...(holdMs !== undefined && { holdMs }), ...about(failure) }
      const ended = { ...origin, failure: failureOf('download', failure, journey.begun) }
      if (isThrottled(failure) && mayBeThrottled()) {
        const delayMs = Math.max(retryAfterMs ?? 0, throttleDelayMs(job.throttles + 1))
        return { kind: 'download-throttled', delayMs, ...ended }
      }
      if (!retriable || n > retries) {
        if (retriable || job.handled) await options.drop(job.id).catch(() => {}) // what is left, a sweep finds
        return { kind: 'downloaded', result: failed(job, failure, journey), storage, ...ended }
      }
      return { kind: 'download-retry', delayMs: retryAfterMs ?? downloadRetryDelayMs(n, retryBackoffMs), ...ended }
    }

    function mayBeThrottled(): boolean {
      return job.throttles < MAX_THROTTLES && Date.now() - job.createdMs < MAX_THROTTLED_MS
    }

    function tell(code: string, how: Pick<EndedAttempt, 'result' | 'failure' | 'retryDelayMs' | 'putOff'> = {}) {
      if (!request) return
      const of = (request.maxRetries ?? maxRetries) + 1
      const durationMs = performance.now() - journey.begun
      options.ended({ claim: lease.claim, request, journey, of, code, durationMs, ...how })
    }
  }
}

const stalled = (stalls: number) =>
  new JobError('worker.stalled', `the download was given up: its worker died or froze ${stalls} times`, {
    retriable: false,
  })

function failed({ id, request }: Job, failure: JobError, journey: Journey): DownloadResult {
  return {
    success: false,
    error: failure.message,
    errorCode: failure.code,
    responseCode: failure.responseCode,
    imageSize: '',
    size: 0,
    sha256: '',
    mimeType: failure.mimeType,
    // An earlier attempt may have stored it and died before it could say so. What is in the caller's bucket is theirs.
    path: request?.s3Bucket ? undefined : filePath(id, request?.subpath),
    ...travelled(journey),
  }
}

/** Deletions at once in one process. */
export const DELETIONS = 16
const DELETION_SYNCS = 4

/** What to do with a job of a deletions room: remove its file, if we may keep one. Never gives up. */
export function deleting(storage: Storage, stats: ProcessorStats, log: Log): (lease: Lease) => Promise<Outcome> {
  const limit = pLimit(DELETION_SYNCS)
  return async ({ claim: { job }, signal }) => {
    const path = job.result?.path
    if (!path) return { kind: 'deleted' }
    try {
      await limit(() => storage.delete(path, signal))
      if (job.result?.success) stats.deleted() // of a failed job there is hardly ever a file
      log.debug({ job_id: job.id, path }, 'file deleted')
      return { kind: 'deleted' }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      stats.deletionFailed()
      log.warn({ job_id: job.id, path, error: String(error) }, 'a file could not be deleted: trying again later')
      return { kind: 'deletion-retry', delayMs: deletionRetryDelayMs(job.deletions + 1) }
    }
  }
}
