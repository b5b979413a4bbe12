import type { Job } from './job.ts'
import { downloadsRoom, type RestReason, storageOf } from './places.ts'

/** Where a job is now. Times are ms since the epoch, by Redis's clock. */
export type Whereabouts =
  /** `host`: it waits in the lane of this host, see lanes.lua. */
  | { kind: 'pending'; room: string; group: string; host?: string | undefined; startsMs: number }
  | { kind: 'claimed'; room: string; group: string; leaseEndsMs: number }
  | { kind: 'rest'; reason: RestReason; sinceMs: number }

/**
 * A job's state, as the API names it:
 *
 *   pending ─▶ running ─▶ callback_pending ─▶ callback_running ─▶ delivered ─▶ (unknown)
 *                 │                                  └─▶ callback_failed
 *                 └─▶ done | failed: there was nobody to call back
 *
 * `cancelling`: whoever works on it was told to stop. `expired`: on its way to deletion, but not because its callback was delivered.
 */
export const jobStates = [
  'pending',
  'running',
  'callback_pending',
  'callback_running',
  'callback_failed',
  'delivered',
  'done',
  'failed',
  'cancelling',
  'cancelled',
  'expired',
] as const
export type JobState = (typeof jobStates)[number]

const RESTING = {
  done: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
  'callback-failed': 'callback_failed',
} as const satisfies Record<RestReason, JobState>

export function stateOf(job: Pick<Job, 'deliveries' | 'deliveryError' | 'cancelled'>, where: Whereabouts): JobState {
  if (where.kind === 'rest') return RESTING[where.reason]
  const claimed = where.kind === 'claimed'
  if (job.cancelled) return storageOf(where.room) === undefined ? 'cancelling' : 'cancelled'
  if (where.room === downloadsRoom) return claimed ? 'running' : 'pending'
  if (storageOf(where.room) === undefined) return claimed ? 'callback_running' : 'callback_pending'
  return job.deliveries > 0 && job.deliveryError === '' ? 'delivered' : 'expired'
}
