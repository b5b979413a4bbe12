import type { JobError } from '../jobs/errors.ts'
import type { CallbackType } from '../jobs/job.ts'
import type { Log } from '../log.ts'
import type { Claim } from '../queue/room.ts'
import type { Span } from '../tracing/tracer.ts'

/** A delivery of a callback that is over. */
export interface EndedDelivery {
  claim: Claim
  /** Undefined when the job has none. */
  backend: CallbackType | undefined
  span: Span | undefined
  /** `ok`, the code of its failure, or why it was let go: `cancelled`, `handed_back`, `lease_lost`. */
  code: string
  /** Deliveries that the callback may have. */
  of: number
  durationMs: number
  failure?: JobError | undefined
  /** When it failed and is tried again. */
  retryDelayMs?: number | undefined
}

/** One wide line for a delivery. Of the receiver it has scheme, host and port, topic or queue: a path may be a secret. */
export function logDelivery(log: Log): (delivery: EndedDelivery) => void {
  return ({ claim: { job, group }, backend, code, of, durationMs, failure, retryDelayMs }) => {
    const { request, result } = job
    const line = {
      job_id: job.id,
      ...(request && { aggr_id: request.aggrId }),
      receiver: group,
      backend,
      attempt: job.deliveries + 1,
      of,
      code,
      duration_ms: Math.round(durationMs),
      ...(result && { success: result.success, bytes: result.size }),
      ...(result?.errorCode && { download_code: result.errorCode }),
      ...(job.stalls > 0 && { stalls: job.stalls }),
      ...(failure && { error: failure.message }),
      ...(retryDelayMs !== undefined && { retry_at: new Date(Date.now() + retryDelayMs).toISOString() }),
      ...(request?.traceparent && { trace_id: request.traceparent.split('-')[1] }),
    }
    if (failure) log.warn(line, 'callback failed')
    else log.info(line, code === 'ok' ? 'callback delivered' : 'callback let go')
  }
}

/** Ends the delivery's span. */
export function traceDelivery({ claim, span, backend, code, failure }: EndedDelivery): void {
  const attributes = {
    'server.address': claim.group,
    'downloader.job_id': claim.job.id,
    'downloader.aggregation': claim.job.request?.aggrId,
    'downloader.backend': backend,
    'downloader.attempt': claim.job.deliveries + 1,
    'downloader.code': code,
  }
  span?.end({ name: 'callback', kind: 'client', attributes, error: failure?.message })
}
