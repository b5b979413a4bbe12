import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

export type Role = 'api' | 'processor' | 'notifier'
/** Whole numbers by name, added up over the instances of a role. */
export type Stats = Record<string, number>

/** What operators want to know of a process. */
export interface About {
  host: string
  pid: number
  version: string
  /** Since when it runs, ms since the epoch, by its own clock. */
  since_ms: number
  /** Jobs under way. */
  running: number
  /** Jobs at once, at most. */
  concurrency: number
  /** Cores that it keeps busy. */
  cpu: number
  /** Resident bytes. */
  memory: number
  /** It begins no downloads before its disk has room again. */
  disk_full?: boolean
}

/** As it travels: the counters, and what is said of the process. */
interface Report {
  about?: About
  [counter: string]: unknown
}

/** A report counts for this many of its intervals, and at least that long. */
const INTERVALS = 3
const MIN_TTL_MS = 3000

/** The live processes of a role, and what they have counted since they started. */
export function instancesOf(redis: Client, keys: Keys, role: Role) {
  const where = [keys.instances(role), keys.reports(role)] as const
  return {
    /** @param everyMs how often this instance reports */
    async report(instance: string, stats: Stats, everyMs: number, about?: About): Promise<void> {
      const ttlMs = Math.max(everyMs * INTERVALS, MIN_TTL_MS)
      await redis.reportInstance(...where, instance, JSON.stringify({ ...stats, about }), String(ttlMs))
    },

    /** This process stops: it is not alive any more. */
    async retire(instance: string): Promise<void> {
      await Promise.all([redis.zrem(where[0], instance), redis.hdel(where[1], instance)])
    },

    /** The live instances. */
    async names(): Promise<Set<string>> {
      await redis.reportInstance(...where)
      return new Set(await redis.zrange(where[0], '0', '-1'))
    },

    /** What each live instance has counted. */
    async each(): Promise<Map<string, Stats>> {
      await redis.reportInstance(...where)
      const reports = Object.entries(await redis.hgetall(where[1]))
      return new Map(reports.map(([instance, text]) => [instance, statsIn(text)]))
    },

    /** The sum over all live instances, with `alive`, their number; undefined when there is none. */
    async sum(): Promise<Stats | undefined> {
      const reports = await redis.reportInstance(...where)
      if (reports.length === 0) return undefined
      const sum: Stats = { alive: reports.length }
      for (const text of reports) {
        for (const [name, value] of Object.entries(statsIn(text))) sum[name] = (sum[name] ?? 0) + value
      }
      return sum
    },

    /** What each live instance says of itself. */
    async all(): Promise<About[]> {
      const reports = await redis.reportInstance(...where)
      return reports.flatMap((text) => (JSON.parse(text) as Report).about ?? [])
    },
  }
}

export type Instances = ReturnType<typeof instancesOf>

function statsIn(report: string): Stats {
  const { about: _, ...stats } = JSON.parse(report) as Report
  return stats as Stats
}
