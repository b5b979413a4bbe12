import type { Job } from './api.ts'
import { pause } from './deadline.ts'
import type { Answer } from './http.ts'

export interface WaitOptions {
  /** Most ms between two looks (10,000); the API's `Retry-After` counts below that. */
  maxPauseMs?: number
  /** Told of every look. */
  onLook?: (job: Job) => void
  signal?: AbortSignal | undefined
}

const OVER: readonly Job['state'][] = ['done', 'failed', 'delivered', 'callback_failed', 'cancelled', 'expired']

/** Whether nothing more will happen to a job, unless somebody wants it. */
export const isOver = ({ state }: Pick<Job, 'state'>): boolean => OVER.includes(state)

/** Whether the file was downloaded, and who was to be told of it was told. */
export const hasSucceeded = ({ state, result }: Pick<Job, 'state' | 'result'>): boolean =>
  (state === 'done' || state === 'delivered') && result?.success === true

/** Looks at a job until it is over. */
export async function wait(
  look: () => Promise<Answer<Job>>,
  { maxPauseMs = 10_000, onLook = () => {}, signal }: WaitOptions = {},
): Promise<Job> {
  for (;;) {
    const { body: job, retryAfterS = 1 } = await look()
    onLook(job)
    if (isOver(job)) return job
    await pause(Math.min(retryAfterS * 1000, maxPauseMs), signal)
  }
}
