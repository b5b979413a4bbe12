import type { CallbackType } from '../jobs/job.ts'
import type { Metrics } from '../metrics/metrics.ts'
import type { EndedDelivery } from './ended-delivery.ts'

/** How a delivery ended; `failed`: it is not tried again. */
const outcomes = ['delivered', 'retried', 'failed', 'let_go'] as const

/** What this notifier did, for Prometheus. */
export function notifierMetrics({ counter, histogram }: Metrics, backends: CallbackType[]) {
  const callbacks = counter('callbacks_total', 'Deliveries of callbacks that ended, by backend and how', [
    'backend',
    'outcome',
  ])
  const duration = histogram(
    'callback_duration_seconds',
    'How long deliveries of callbacks took, until the receiver had answered or the delivery failed',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    ['backend'],
  )
  for (const backend of backends) for (const outcome of outcomes) callbacks.inc({ backend, outcome }, 0)

  return {
    delivered(delivery: EndedDelivery): void {
      const { backend = 'none', durationMs } = delivery
      callbacks.inc({ backend, outcome: outcomeOf(delivery) })
      duration.observe({ backend }, durationMs / 1000)
    },
  }
}

function outcomeOf({ code, failure, retryDelayMs }: EndedDelivery): (typeof outcomes)[number] {
  if (code === 'ok') return 'delivered'
  if (!failure) return 'let_go'
  return retryDelayMs === undefined ? 'failed' : 'retried'
}
