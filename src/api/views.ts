import { joinUrl, wayOf } from '../jobs/compose-callback.ts'
import { type Ended, filePath, type Job } from '../jobs/job.ts'
import { callbackTarget, receiverOf } from '../jobs/places.ts'
import { stateOf } from '../jobs/state.ts'
import { reasonsOf, type Waiting } from '../jobs/why.ts'
import type { Sighting } from '../queue/jobs.ts'
import { redactedUrl } from '../shown-url.ts'
import type { JobView, WhyView } from './schemas/job.ts'

const time = (ms: number) => new Date(ms).toISOString()
const timeOrNull = (ms: number | undefined) => (ms === undefined ? null : time(ms))

/** @param downloadUrl base of the files' URLs; `""` when the deployment has none */
export function jobView({ job, where, nowMs }: Sighting, downloadUrl: string): JobView {
  const { id, request, result } = job
  const startsMs = where.kind === 'pending' ? where.startsMs : undefined
  return {
    id,
    state: stateOf(job, where),
    created_at: time(job.createdMs || Math.min(startsMs ?? nowMs, nowMs)), // the first claim notes it
    aggr_id: request?.aggrId ?? null,
    url: request ? redactedUrl(request.url) : null,
    attempts: job.attempts,
    put_off: job.throttles,
    stalls: job.stalls,
    failures: job.failures.map((failure) => ({ step: failure.step, code: failure.code, ...endedView(failure) })),
    downloaded: job.downloaded ? endedView(job.downloaded) : null,
    delivered: job.delivered ? endedView(job.delivered) : null,
    received_bytes: where.kind === 'claimed' && !result ? job.receivedBytes : null,
    callback: callbackOf(job),
    result: result
      ? {
          success: result.success,
          error: result.error,
          error_code: result.errorCode,
          response_code: result.responseCode,
          size: result.size,
          sha256: result.sha256,
          mime_type: result.mimeType,
          image_size: result.imageSize,
          ...wayOf(job),
        }
      : null,
    file: fileOf(job, downloadUrl),
    starts_at: timeOrNull(startsMs),
    lease_ends_at: timeOrNull(where.kind === 'claimed' ? where.leaseEndsMs : undefined),
    resting_since: timeOrNull(where.kind === 'rest' ? where.sinceMs : undefined),
  }
}

const endedView = ({ atMs, durationMs }: Ended) => ({ at: time(atMs), duration_ms: durationMs })

function callbackOf({ request, result, deliveries, deliveryError }: Job): JobView['callback'] {
  const target = request && callbackTarget(request, result?.success ?? true)
  return target ? { type: target.type, receiver: receiverOf(target), attempts: deliveries, error: deliveryError } : null
}

function fileOf({ id, request, result, storage }: Job, downloadUrl: string): JobView['file'] {
  if (!result?.success) return null
  if (request?.s3Bucket) {
    return { storage: null, bucket: request.s3Bucket, path: filePath(id, request.subpath), url: '' }
  }
  const { path } = result
  return path && storage !== undefined
    ? { storage, bucket: null, path, url: downloadUrl && joinUrl(downloadUrl, path) }
    : null
}

/** @param waiting undefined unless the job is pending */
export function whyView({ job, where }: Sighting, waiting: Waiting | undefined): WhyView {
  const state = stateOf(job, where)
  if (!waiting) {
    const running = where.kind === 'claimed'
    const text = running ? 'it does not wait: it runs' : 'it does not wait: it is finished'
    return { id: job.id, state, code: running ? 'running' : 'finished', text, also: [], waiting: null }
  }
  const [main, ...also] = reasonsOf(waiting)
  return {
    id: job.id,
    state,
    ...main,
    also,
    waiting: {
      room: waiting.room,
      group: waiting.group,
      ahead: waiting.ahead,
      pending: waiting.pending,
      running: waiting.running,
      running_jobs: waiting.runningJobs,
      limit: waiting.limit,
      paused: waiting.paused,
      held_until: waiting.heldUntilMs > waiting.nowMs ? time(waiting.heldUntilMs) : null,
      host: waiting.host?.name ?? null,
      rate: waiting.rate ?? null,
      starts_at: time(waiting.startsMs),
      retry: waiting.retry,
      workers: waiting.workers,
    },
  }
}

const HOUR_S = 3600
const SOON_S = 2

/** After how many seconds it is worth while to ask again; undefined when nothing more will happen. */
export function askAgainAfterS({ where, nowMs }: Sighting): number | undefined {
  if (where.kind === 'rest') return undefined
  const startsMs = where.kind === 'pending' ? where.startsMs : nowMs
  return Math.min(Math.max(Math.ceil((startsMs - nowMs) / 1000), SOON_S), HOUR_S)
}
