import { aggregationTag, downloadsRoom, withBurst } from '../jobs/places.ts'
import { createdOf } from './created.ts'
import { parseEntry } from './entry.ts'
import type { Jobs } from './jobs.ts'
import { type Keys, pendingIn } from './keys.ts'
import type { GroupSettings } from './queue.ts'
import type { Client } from './redis.ts'
import { tagPages } from './resting-tags.ts'
import type { GroupRow } from './scripts.ts'

/** An aggregation as it is now. Times are ms since the epoch, by Redis's clock. */
export interface Aggregation {
  aggrId: string
  /** Undefined while neither a job nor an operator says. */
  limit: number | undefined
  /** Jobs begun per second, at most. */
  rate: number | undefined
  running: number
  pending: number
  /** How many of those pending wait for a host that is slowed. */
  waitingForHosts: number
  /** Since when the first of its jobs waits that could start, if one does. */
  waitingSinceMs: number | undefined
  /** Before this it starts nothing: an origin's `Retry-After`. */
  heldUntilMs: number | undefined
  failed: number
  callbackFailed: number
  /** What an operator set, which wins over what its jobs bring. */
  settings: GroupSettings
}

/** Changes of what an operator sets; null takes one back. */
export type Amendment = { [name in keyof GroupSettings]?: GroupSettings[name] | null | undefined }

export interface Emptied {
  cancelled: number
  running: number
  remaining: number
}

const SCAN_COUNT = 1000
const AT_ONCE = 200
/** Of those that only have jobs at rest, so many are named. */
const MOST_AT_REST = 20_000

/** The aggregations of a deployment, as operators see them. */
export function aggregationsOf(redis: Client, keys: Keys, jobs: Pick<Jobs, 'cancelIn'>) {
  const room = keys.room(downloadsRoom)

  /** Those of which something failed and rests: a group is forgotten with its last job that waits or runs. */
  async function failing(): Promise<Set<string>> {
    const found = new Set<string>()
    for (const reason of ['failed', 'callback-failed'] as const) {
      for await (const tags of tagPages(redis, keys.aggregationTags(reason))) {
        for (const tag of tags) found.add(tag.slice(aggregationTag('').length))
        if (found.size >= MOST_AT_REST) break
      }
    }
    return found
  }

  /** Of all that have jobs that wait, run or failed, or of which something is set. */
  async function names(): Promise<string[]> {
    const found = await failing()
    for (const key of [`${room}:groups`, `${room}:overrides`]) {
      let cursor = '0'
      do {
        const [next, flat] = await redis.hscan(key, cursor, 'COUNT', SCAN_COUNT)
        cursor = next
        for (let i = 0; i < flat.length; i += 2) found.add(flat[i] ?? '')
      } while (cursor !== '0')
    }
    return [...found]
  }

  async function look(aggrIds: string[]): Promise<Aggregation[]> {
    const found: Aggregation[] = []
    for (let i = 0; i < aggrIds.length; i += AT_ONCE) {
      const some = aggrIds.slice(i, i + AT_ONCE)
      const [nowMs, , ...rows] = await redis.lookAtGroups(room, ...some)
      found.push(...rows.map((row, i) => aggregationOf(some[i] ?? '', row, nowMs)))
    }
    return found
  }

  return {
    names,
    look,

    /** @returns undefined when it has no jobs, none at rest either, and nothing is set of it */
    async find(aggrId: string): Promise<Aggregation | undefined> {
      const [found] = await look([aggrId])
      const nothing = found && found.limit === undefined && found.failed + found.callbackFailed === 0
      return nothing && Object.keys(found.settings).length === 0 ? undefined : found
    },

    /** Stands until it is told otherwise, also when the aggregation has no jobs. */
    async amend(aggrId: string, amendment: Amendment): Promise<void> {
      await redis.amendGroup(room, aggrId, JSON.stringify(withBurst(amendment)))
    },

    /**
     * Cancels what is pending, and, if it is to be dropped, what runs; and takes back what an operator set.
     *
     * @param signal when it aborts, what is left stays
     */
    async empty(aggrId: string, drop: boolean, signal: AbortSignal): Promise<Emptied> {
      let cancelled = 0
      for (let host: string | undefined; !signal.aborted; ) {
        const pending = `${room}:pending:${pendingIn({ group: aggrId, host })}`
        const ids = await redis.zrange(pending, '0', String(AT_ONCE - 1))
        const done = await jobs.cancelIn({ room: downloadsRoom, group: aggrId, host }, ids)
        cancelled += done
        if (done > 0) continue
        // nothing is left there, or somebody else takes it away
        const lanes = await redis.zrange(`${room}:lanes:${aggrId}`, '0', '1')
        const next = lanes.find((lane) => lane !== '')
        if (next === undefined || next === host) break
        host = next
      }
      const running = await redis.smembers(`${room}:claimed:${aggrId}`)
      if (drop) await Promise.all(running.map((id) => redis.cancelClaim(room, id)))
      await redis.adjustGroup(room, aggrId, '{}')
      const [left] = await look([aggrId])
      return { cancelled, running: running.length, remaining: left?.pending ?? 0 }
    },
  }
}

export type Aggregations = ReturnType<typeof aggregationsOf>

function aggregationOf(aggrId: string, row: GroupRow, nowMs: number): Aggregation {
  const [pending, running, brought, operator, heldUntil, first, failed, callbackFailed, waitingForHosts] = row
  const settings = JSON.parse(operator) as GroupSettings
  const own = brought === null ? undefined : parseEntry(brought)
  return {
    aggrId,
    limit: settings.limit ?? own?.limit,
    rate: settings.rate ?? own?.rate,
    running,
    pending,
    waitingForHosts,
    waitingSinceMs: first !== null && Number(first) <= nowMs ? createdOf(Number(first), nowMs) : undefined,
    heldUntilMs: Number(heldUntil) > nowMs ? Number(heldUntil) : undefined,
    failed,
    callbackFailed,
    settings,
  }
}
