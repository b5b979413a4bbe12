import { downloadsRoom, type RestReason, type Spot, storageOf } from '../jobs/places.ts'
import type { Whereabouts } from '../jobs/state.ts'
import { parseEntry } from './entry.ts'
import { type Keys, pendingIn } from './keys.ts'
import { type Listed, recordsOf } from './records.ts'
import type { Client } from './redis.ts'

export interface Page {
  listed: Listed[]
  /** What the next page goes on after; undefined on the last one. A page may be short and not be the last. */
  next: Cursor | undefined
}

/** Where a page ended. */
export interface Cursor {
  id: string
  score?: string
  /** Of pending jobs: the room, the group and the host. */
  spot?: string
}

export interface RestFilter {
  reason: RestReason
  /** All of them, see `tagsOf`. */
  tags: readonly string[]
  /** ms since the epoch, both included. */
  sinceMs?: number | undefined
  untilMs?: number | undefined
}

/** Groups that one page looks into. */
const GROUPS_A_PAGE = 200
const SCAN_COUNT = 1000

/**
 * Lists of jobs. Nothing is searched for that has no set of its own: what is pending is listed by its group's pending
 * jobs, what runs by the claims, what rests by the sets of its tags.
 */
export function listingOf(redis: Client, keys: Keys) {
  /** Newest first. */
  async function resting({ reason, tags, sinceMs, untilMs }: RestFilter, count: number, after?: Cursor) {
    const main = keys.rest(reason)
    const sets = tags.length === 0 ? [main] : tags.map((tag) => `${main}:${tag}`)
    const bounds = [sinceMs ?? '-inf', untilMs ?? '+inf', count, after?.score ?? '', after?.id ?? '']
    const [score = '', id = '', ...flat] = await redis.pageOfJobs(sets.length, ...sets, 'desc', ...bounds)
    const found = pairs(flat).map(([id, since]) => ({ id, sinceMs: Number(since) }))
    return { found, next: id === '' ? undefined : { score, id } }
  }

  async function withRecords(found: [string, Whereabouts][], next: Cursor | undefined): Promise<Page> {
    return { listed: await recordsOf(redis, keys, found), next }
  }

  async function rooms(which: 'downloads' | 'callbacks'): Promise<string[]> {
    if (which === 'downloads') return [downloadsRoom]
    const all = await redis.smembers(keys.rooms)
    return all.filter((room) => room !== downloadsRoom && storageOf(room) === undefined).sort()
  }

  /** Every field of a hash, with its value. */
  async function entries(key: string): Promise<Map<string, string>> {
    const found = new Map<string, string>()
    let cursor = '0'
    do {
      const [next, flat] = await redis.hscan(key, cursor, 'COUNT', SCAN_COUNT)
      cursor = next
      for (const [field, value] of pairs(flat)) found.set(field, value)
    } while (cursor !== '0')
    return found
  }

  /** Where jobs of some groups are pending: in each, and in the lanes of its hosts. */
  async function spotsOf(room: string, groups: Map<string, string>): Promise<(Spot & { host?: string })[]> {
    const found = [...groups].map(async ([group, entry]) => {
      const hosts = parseEntry(entry).lanes ? await redis.zrange(`${keys.room(room)}:lanes:${group}`, '0', '-1') : []
      const lanes = hosts.filter((host) => host !== '').sort()
      return [{ room, group }, ...lanes.map((host) => ({ room, group, host }))]
    })
    return (await Promise.all(found)).flat()
  }

  return {
    /** The ids of what rests, newest first. */
    resting,

    async atRest(filter: RestFilter, count: number, after?: Cursor): Promise<Page> {
      const { found, next } = await resting(filter, count, after)
      const { reason } = filter
      return withRecords(
        found.map(({ id, sinceMs }) => [id, { kind: 'rest', reason, sinceMs }]),
        next,
      )
    },

    /** Group by group, in each what starts first. */
    async pending(
      which: 'downloads' | 'callbacks',
      group: string | undefined,
      count: number,
      after?: Cursor,
    ): Promise<Page> {
      const spots: (Spot & { host?: string })[] = []
      for (const room of await rooms(which)) {
        const known = `${keys.room(room)}:groups`
        const groups =
          group === undefined ? await entries(known) : new Map([[group, (await redis.hget(known, group)) ?? '']])
        spots.push(...(await spotsOf(room, new Map([...groups].sort(([a], [b]) => (a < b ? -1 : 1))))))
      }
      const found: [string, Whereabouts][] = []
      let next: Cursor | undefined
      let looked = 0
      for (const { room, group, host } of spots) {
        const place = pendingIn({ group, host })
        const spot = spotName(room, place)
        if (after?.spot !== undefined && spot < after.spot) continue
        if (found.length >= count || looked++ >= GROUPS_A_PAGE) return withRecords(found, next)
        const begin = after?.spot === spot ? after : undefined
        const bounds = ['-inf', '+inf', count - found.length, begin?.score ?? '', begin?.id ?? '']
        const key = `${keys.room(room)}:pending:${place}`
        const [score = '', id = '', ...flat] = await redis.pageOfJobs(1, key, 'asc', ...bounds)
        for (const [id, at] of pairs(flat))
          found.push([id, { kind: 'pending', room, group, host, startsMs: Number(at) }])
        if (id !== '') return withRecords(found, { spot, score, id })
        next = { spot: `${spot}\0`, id: '' } // behind all of this group
      }
      return withRecords(found, undefined)
    },

    /** By id. */
    async running(
      which: 'downloads' | 'callbacks',
      group: string | undefined,
      count: number,
      after?: Cursor,
    ): Promise<Page> {
      const running: { id: string; room: string; group: string }[] = []
      for (const room of await rooms(which)) {
        for (const [id, claim] of await entries(`${keys.room(room)}:claims`)) {
          const [, holder = ''] = /^\S+ \S+ ([^\0]*)/.exec(claim) ?? []
          if (group === undefined || holder === group) running.push({ id, room, group: holder })
        }
      }
      running.sort((a, b) => (a.id < b.id ? -1 : 1))
      const rest = running.filter(({ id }) => id > (after?.id ?? ''))
      const page = rest.slice(0, count)
      const last = page.at(-1)
      return withRecords(
        page.map(({ id, room, group }) => [id, { kind: 'claimed', room, group, leaseEndsMs: 0 }]),
        last && rest.length > page.length ? { id: last.id } : undefined,
      )
    },
  }
}

export type Listing = ReturnType<typeof listingOf>

/** Compares as the list is ordered: rooms by name, in each the groups by name. */
const spotName = (room: string, group: string) => `${room}\0${group}`

const pairs = (flat: string[]): [string, string][] =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] ?? '', flat[2 * i + 1] ?? ''])
