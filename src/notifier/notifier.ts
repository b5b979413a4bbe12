import { deliveryRetryDelayMs } from '../jobs/backoff.ts'
import { composeCallback } from '../jobs/compose-callback.ts'
import { asJobError, failureOf, JobError } from '../jobs/errors.ts'
import type { CallbackType } from '../jobs/job.ts'
import { callbackTarget, type Outcome } from '../jobs/places.ts'
import { Cancelled, HandBack, type Lease, LeaseLost } from '../leases.ts'
import type { Log } from '../log.ts'
import type { Backend } from './backends/backend.ts'
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
  log: Log
}

/** What to do with a job of a callbacks room: one delivery, and what follows from how it ended. */
export function delivering(options: DeliveringOptions): (lease: Lease) => Promise<Outcome> {
  const { backends, maxRetries, retryBackoffMs, maxStalls, deletionDelayMs, stats, log } = options

  return async ({ claim: { job, group }, signal }) => {
    if (job.cancelled) return { kind: 'cancelled' }
    const begin = performance.now()
    try {
      if (job.stalls >= maxStalls) {
        throw new JobError('worker.stalled', `the notifier died or froze ${job.stalls} times`, { retriable: false })
      }
      const target = job.request && callbackTarget(job.request, job.result?.success ?? false)
      if (!target) throw new Error(`job ${job.id} has no callback`)
      const backend = backends[target.type]
      if (!backend) {
        const text = `this notifier has no backend ${target.type}`
        throw new JobError('receiver.undefined_backend', text, { retriable: true })
      }
      await backend.deliver(target.destination, composeCallback(job, options.downloadUrl), signal)
      stats.delivered()
      say()
      return { kind: 'delivered', deletionDelayMs }
    } catch (error) {
      if (error instanceof LeaseLost || error instanceof HandBack) throw error
      if (error instanceof Cancelled) return { kind: 'cancelled' }
      const failure = asJobError(error)
      if (failure !== error) log.error({ job_id: job.id, err: error }, 'a delivery ran into a bug')
      stats.attemptFailed(failure)
      say(failure)
      const n = job.deliveries + 1
      const ended = { error: failure.message, failure: failureOf('callback', failure, begin) }
      if (failure.retriable && n <= maxRetries) {
        return { kind: 'delivery-retry', delayMs: deliveryRetryDelayMs(n, retryBackoffMs), ...ended }
      }
      stats.failed()
      return { kind: 'delivery-failed', ...ended }
    }

    function say(failure?: JobError) {
      log[failure ? 'warn' : 'info'](
        {
          job_id: job.id,
          receiver: group,
          attempt: job.deliveries + 1,
          duration_ms: Math.round(performance.now() - begin),
          ...(failure ? { code: failure.code, error: failure.message } : {}),
        },
        failure ? 'callback failed' : 'callback delivered',
      )
    }
  }
}
