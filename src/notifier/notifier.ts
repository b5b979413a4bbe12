import { deliveryRetryDelayMs } from '../jobs/backoff.ts'
import { composeCallback } from '../jobs/compose-callback.ts'
import { asJobError, endedNow, failureOf, JobError } from '../jobs/errors.ts'
import type { CallbackType } from '../jobs/job.ts'
import { callbackTarget, type Outcome } from '../jobs/places.ts'
import { Cancelled, type Lease, whyLetGo } from '../leases.ts'
import type { Log } from '../log.ts'
import type { Tracer } from '../tracing/tracer.ts'
import type { Backend } from './backends/backend.ts'
import type { EndedDelivery } from './ended-delivery.ts'
import type { NotifierStats } from './stats.ts'

export interface DeliveringOptions {
  backends: Partial<Record<CallbackType, Backend>>
  /** Base of the callback's `download_url`, or `""`. */
  downloadUrl: string
  maxRetries: number
  retryBackoffMs: number
  maxStalls: number
  deletionDelayMs: number
  stats: NotifierStats
  tracer?: Tracer | undefined
  /** Told of every delivery once. */
  ended(delivery: EndedDelivery): void
  log: Log
}

/** What to do with a job of a callbacks room: one delivery, and what follows from how it ended. */
export function delivering(options: DeliveringOptions): (lease: Lease) => Promise<Outcome> {
  const { backends, maxRetries, retryBackoffMs, maxStalls, deletionDelayMs, stats, log } = options

  return async ({ claim, signal }) => {
    const { job } = claim
    if (job.cancelled) return { kind: 'cancelled' }
    const begin = performance.now()
    const span = options.tracer?.begin(job.request?.traceparent)
    const target = job.request && callbackTarget(job.request, job.result?.success ?? false)
    try {
      if (job.stalls >= maxStalls) {
        throw new JobError('worker.stalled', `the notifier died or froze ${job.stalls} times`, { retriable: false })
      }
      if (!target) throw new Error(`job ${job.id} has no callback`)
      const backend = backends[target.type]
      if (!backend) {
        const text = `this notifier has no backend ${target.type}`
        throw new JobError('receiver.undefined_backend', text, { retriable: true })
      }
      await backend.deliver(target.destination, composeCallback(job, options.downloadUrl), signal, span?.traceparent)
      stats.delivered()
      tell('ok')
      return { kind: 'delivered', deletionDelayMs, ended: endedNow(begin) }
    } catch (error) {
      const letGo = whyLetGo(error)
      if (letGo) tell(letGo)
      if (error instanceof Cancelled) return { kind: 'cancelled' }
      if (letGo) throw error
      const failure = asJobError(error)
      if (failure !== error) log.error({ job_id: job.id, err: error }, 'a delivery ran into a bug')
      stats.attemptFailed(failure)
      const n = job.deliveries + 1
      const ended = { error: failure.message, failure: failureOf('callback', failure, begin) }
      if (failure.retriable && n <= maxRetries) {
        const delayMs = deliveryRetryDelayMs(n, retryBackoffMs)
        tell(failure.code, { failure, retryDelayMs: delayMs })
        return { kind: 'delivery-retry', delayMs, ...ended }
      }
      stats.failed()
      tell(failure.code, { failure })
      return { kind: 'delivery-failed', ...ended }
    }

    function tell(code: string, how: Pick<EndedDelivery, 'failure' | 'retryDelayMs'> = {}) {
      const durationMs = performance.now() - begin
      options.ended({ claim, backend: target?.type, span, code, of: maxRetries + 1, durationMs, ...how })
    }
  }
}
