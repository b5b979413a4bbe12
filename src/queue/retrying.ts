import type { Keys } from './keys.ts'
import type { Listing, RestFilter } from './listing.ts'
import type { Queue } from './queue.ts'
import type { Client } from './redis.ts'

export interface Retried {
  retried: number
  /** Whether there was more than it could look at. */
  more: boolean
  /** After how many ms the last of them starts. */
  lastMs: number
}

const AT_ONCE = 200

/** Retries what failed, by what it has in common. */
export function retryingOf(redis: Client, keys: Keys, queue: Pick<Queue, 'wake'>, listing: Pick<Listing, 'resting'>) {
  return {
    /**
     * Queues what failed again, newest first; each starts a little later than the one before, also over several calls,
     * so that whoever failed is not run over.
     *
     * @param count most jobs
     * @param perSecond how many start in a second
     */
    async retry(filter: RestFilter, count: number, perSecond: number): Promise<Retried> {
      const stepMs = 1000 / perSecond
      const kind = filter.reason === 'failed' ? 'downloaded-again' : 'retried-by-hand'
      const total: Retried = { retried: 0, more: true, lastMs: 0 }
      let next: Awaited<ReturnType<Listing['resting']>>['next']
      while (total.retried < count) {
        const page = await listing.resting(filter, Math.min(AT_ONCE, count - total.retried), next)
        const { found } = page
        if (found.length > 0) {
          const beginMs = await redis.reserveTime(keys.retries, found.length * stepMs)
          const replies = await Promise.all(
            found.map(({ id }, i) =>
              queue.wake(id, filter.reason, { kind, delayMs: Math.round(beginMs + i * stepMs) }),
            ),
          )
          total.retried += replies.filter((reply) => reply === 'woken').length
          total.lastMs = Math.round(beginMs + (found.length - 1) * stepMs)
        }
        next = page.next
        if (!next) return { ...total, more: false }
      }
      return total
    },
  }
}

export type Retrying = ReturnType<typeof retryingOf>
