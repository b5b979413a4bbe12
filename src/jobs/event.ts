import type { Outcome } from './places.ts'

/** What happens to jobs, as those who watch them are told. */
export const jobEvents = [
  'accepted',
  'started',
  'downloaded',
  'failed',
  'retrying',
  'delivered',
  'delivery_retrying',
  'delivery_failed',
  'retried',
  'cancelled',
  'deleted',
  'handed_back',
] as const
export type JobEventName = (typeof jobEvents)[number]

export interface JobEvent {
  id: string
  event: JobEventName
  /** Where it happened; the group is the aggregation, the receiver or the storage. Empty where that was not looked up. */
  room: string
  group: string
  /** Of the attempt that failed. */
  code?: string
}

/** What is told of an outcome. */
export function eventOf(outcome: Outcome): Pick<JobEvent, 'event' | 'code'> {
  const code = 'failure' in outcome && outcome.failure ? { code: outcome.failure.code } : {}
  switch (outcome.kind) {
    case 'downloaded':
      return { event: outcome.result.success ? 'downloaded' : 'failed', ...code }
    case 'download-retry':
    case 'download-throttled':
      return { event: 'retrying', ...code }
    case 'delivered':
      return { event: 'delivered' }
    case 'delivery-retry':
      return { event: 'delivery_retrying', ...code }
    case 'delivery-failed':
      return { event: 'delivery_failed', ...code }
    case 'retried-by-hand':
    case 'downloaded-again':
      return { event: 'retried' }
    case 'cancelled':
      return { event: 'cancelled' }
    case 'deleted':
    case 'expired':
      return { event: 'deleted' }
    case 'deletion-retry':
    case 'handed-back':
      return { event: 'handed_back' }
  }
}
