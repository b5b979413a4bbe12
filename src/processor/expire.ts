import type { RestReason } from '../jobs/places.ts'
import type { Queue } from '../queue/queue.ts'

const EXPIRING: RestReason[] = ['done', 'failed', 'cancelled']
const AT_ONCE = 500

/**
 * Sends what has rested for `ttlMs` through the deletions; ends early when `stop` aborts.
 *
 * @param storage where this process keeps files
 */
export async function expire(
  queue: Pick<Queue, 'resting' | 'wake'>,
  ttlMs: number,
  storage: string,
  stop: AbortSignal,
): Promise<void> {
  for (const reason of EXPIRING) {
    for (;;) {
      const ids = await queue.resting(reason, ttlMs, AT_ONCE)
      let absent = 0
      for (const id of ids) if ((await queue.wake(id, reason, { kind: 'expired', storage })) === 'absent') absent++
      // where nothing was left to do, somebody else does it
      if (ids.length < AT_ONCE || absent === ids.length || stop.aborted) break
    }
  }
}
