import { hostOf } from '../../jobs/host.ts'
import type { Job } from '../../jobs/job.ts'
import {
  downloadsRoom,
  everySpot,
  placeOfLost,
  type RestReason,
  restReasons,
  type Spot,
  storageOf,
  termsOf,
} from '../../jobs/places.ts'
import { type Books, booksOf } from '../books.ts'
import { type Keys, laneOf, laneParts } from '../keys.ts'
import { queueOf } from '../queue.ts'
import type { Client } from '../redis.ts'
import { type KeyUse, OUTLIVING, tellsOfJobs, useOf } from './key-names.ts'

/** One thing that is wrong. */
export interface Finding {
  /** The Redis key where it shows. */
  key: string
  what: string
}

export interface CheckOptions {
  /** Mends what is found where it can be mended. */
  mend: boolean
  /** Called with each thing that is wrong; a thing that shows in two places may be told twice. */
  onFinding: (finding: Finding) => void
}

const BATCH = 100
const SCAN_COUNT = 1000
/** What looks wrong is looked at again, as often: the job may have been on its way. */
const LOOKS = 3

/**
 * Walks over everything that a deployment holds in Redis, while it works, in bounded memory, and tells what does not
 * agree: a job in no place or in two, a claim without a lease, a group that nobody would serve, books that do not add up.
 *
 * @returns the books at the end
 */
export async function checkQueue(redis: Client, keys: Keys, options: CheckOptions): Promise<Books> {
  const { mend, onFinding } = options
  const mends = mend ? '1' : '0'
  const queue = queueOf(redis, keys)
  const rooms = new Set(await redis.smembers(keys.rooms))
  const jobs = batches<{ id: string; spot?: Spot | undefined }>(lookAtJobs)
  const byRoom = new Map<string, ReturnType<typeof batchesOf>>()

  let cursor = '0'
  do {
    const [next, ...found] = await redis.scanKeys(keys.totals, cursor, SCAN_COUNT)
    cursor = next
    for (let i = 0; i < found.length; i += 2) await lookAtKey(found[i] ?? '', found[i + 1] ?? '')
  } while (cursor !== '0')
  for (const { claims, groups, lanes } of byRoom.values()) {
    await claims.flush()
    await groups.flush()
    await lanes.flush()
  }
  await jobs.flush()
  for (const room of rooms) await recount(room)
  return addUp()

  async function lookAtKey(key: string, type: string): Promise<void> {
    if (type === 'none') return // it was there a moment ago
    const known = useOf(key.slice(keys.base.length), rooms)
    if (!known) return onFinding({ key, what: 'is no key of ours' })
    if (type !== known.type) return onFinding({ key, what: `is a ${type}, and should be a ${known.type}` })
    if (tellsOfJobs(known.is) && !rooms.has(known.is.room)) await register(key, known.is.room)
    await lookInto(key, known.is)
  }

  /** Every member is looked at where it belongs: a job, a claim, a group. */
  async function lookInto(key: string, is: KeyUse): Promise<void> {
    switch (is.use) {
      case 'job':
        return jobs.add({ id: is.id })
      case 'rest':
        for await (const id of members(redis, 'zscan', key)) await jobs.add({ id })
        return
      case 'tagged':
        for await (const id of members(redis, 'zscan', key)) await lookAtTagged(key, is.reason as RestReason, id)
        return
      case 'group': {
        const { room, part } = is
        const [group, host] = laneParts(is.group)
        const { claims, groups, lanes } = batchesFor(room)
        await groups.add(group)
        if (host !== undefined) await lanes.add(is.group)
        if (part === 'lanes') {
          for await (const host of members(redis, 'zscan', key)) if (host !== '') await lanes.add(laneOf(group, host))
        }
        if (part === 'left' || part === 'lanes') return
        for await (const id of members(redis, is.part === 'pending' ? 'zscan' : 'sscan', key)) {
          await jobs.add({ id, spot: { room, group: is.group } })
          if (is.part === 'claimed') await claims.add(id)
        }
        return
      }
      case 'list': {
        const { claims, groups, lanes } = batchesFor(is.room)
        if (OUTLIVING.includes(is.list)) return
        const looked = is.list === 'claims' || is.list === 'leases' ? claims : groups
        const scan = is.list === 'line' || is.list === 'due' || is.list === 'leases' ? 'zscan' : 'hscan'
        for await (const member of members(redis, scan, key)) {
          await (laneParts(member)[1] === undefined ? looked : lanes).add(member)
        }
        return
      }
      case 'host': {
        const { lanes } = batchesFor(is.room)
        await lanes.add(laneOf('', is.host))
        if (is.part === 'running') return
        for await (const group of members(redis, 'zscan', key)) await lanes.add(laneOf(group, is.host))
        return
      }
      case 'passing':
        if ((await redis.pttl(key)) !== -1) return
        onFinding({ key, what: 'never expires' })
        if (mend) await redis.pexpire(key, 60_000)
    }
  }

  /** What can be found by a tag rests. */
  async function lookAtTagged(key: string, reason: RestReason, id: string): Promise<void> {
    if ((await redis.zscore(keys.rest(reason), id)) !== null) return
    if ((await redis.zscore(key, id)) === null) return // it was woken in between
    onFinding({ key, what: `job ${id} does not rest` })
    if (mend) await redis.zrem(key, id)
  }

  async function register(key: string, room: string): Promise<void> {
    rooms.add(room)
    if ((await redis.sismember(keys.rooms, room)) === 1) return // it is new
    onFinding({ key, what: `belongs to room ${room}, which is not among the rooms` })
    if (mend) await redis.sadd(keys.rooms, room)
  }

  function batchesFor(room: string) {
    const existing = byRoom.get(room)
    if (existing) return existing
    const created = batchesOf(room)
    byRoom.set(room, created)
    return created
  }

  function batchesOf(room: string) {
    const key = keys.room(room)
    return {
      claims: batches<string>(async (ids) => {
        const wrong = await redis.checkClaims(key, mends, ...ids)
        for (const [id, what] of pairs(wrong)) onFinding({ key: `${key}:claims`, what: `job ${id} ${what}` })
      }),
      groups: batches<string>(async (names) => {
        const wrong = pairs(await redis.checkGroups(key, '0', ...names))
        for (const [group, what] of wrong) onFinding({ key: `${key}:groups`, what: `group ${quoted(group)} ${what}` })
        if (mend && wrong.length > 0) await mendGroups(room, [...new Set(wrong.map(([group]) => group))])
      }),
      lanes: batches<string>(async (names) => {
        const wrong = pairs(await redis.checkLanes(key, mends, ...names))
        for (const [lane, what] of wrong) {
          const [group, host = ''] = laneParts(lane)
          const whose = group ? `lane of host ${quoted(host)} in group ${quoted(group)}` : `host ${quoted(host)}`
          onFinding({ key: `${key}:lanes`, what: `${whose} ${what}` })
        }
      }),
    }
  }

  async function mendGroups(room: string, groups: string[]): Promise<void> {
    const key = keys.room(room)
    for (const group of groups) {
      const any = await anyOf(key, group)
      const job = any ? await queue.find(any) : undefined
      const place = job && placeOfLost(job)
      const brought = place?.kind === 'room' && place.room === room ? place : undefined
      if (any) await redis.hsetnx(`${key}:groups`, group, `${termsOf(brought ?? {})} ${brought?.gift ?? ''}`)
    }
    await redis.checkGroups(key, '1', ...groups)
  }

  /** A job of a group, which knows what the group began with. */
  async function anyOf(key: string, group: string): Promise<string | undefined> {
    const hosts = (await redis.zrange(`${key}:lanes:${group}`, '0', '1')).filter((host) => host !== '')
    for (const where of [group, ...hosts.map((host) => laneOf(group, host))]) {
      const [id] = await redis.zrange(`${key}:pending:${where}`, '0', '0')
      if (id !== undefined) return id
    }
    return (await redis.srandmember(`${key}:claimed:${group}`)) ?? undefined
  }

  async function lookAtJobs(batch: { id: string; spot?: Spot | undefined }[]): Promise<void> {
    let unclear = batch
    for (let look = 1; look <= LOOKS && unclear.length > 0; look++) {
      const found = await find(unclear)
      unclear = found.filter(({ places, recorded }) => (recorded ? places.length !== 1 : places.length > 0))
    }
    for (const { id } of unclear) await judge(id)
  }

  /** Where jobs are, of all places where they could be. */
  async function find(batch: { id: string; spot?: Spot | undefined }[]) {
    const storages = [...rooms].map(storageOf).filter((storage) => storage !== undefined)
    const asked = await Promise.all(
      batch.map(async ({ id, spot }): Promise<[string, [string, string][]]> => {
        const job = await queue.find(id)
        const stores = job?.storage === undefined ? storages : [...new Set([...storages, job.storage])]
        const spots = [...everySpot(job?.request, stores), ...(spot ? [spot] : [])]
        const host = job?.request ? hostOf(job.request.url) : ''
        if (host) spots.push(...spots.map(({ room, group }) => ({ room, group: laneOf(laneParts(group)[0], host) })))
        return [id, distinct(spots)]
      }),
    )
    const replies = await redis.findJobs(keys.totals, JSON.stringify(asked), ...restReasons)
    return batch.map(({ id, spot }, i) => {
      const [recorded = 0, ...places] = replies[i] ?? []
      return { id, spot, recorded: recorded === 1, places }
    })
  }

  /** A job that looks wrong: looks for it everywhere, since it may be where nobody would expect it. */
  async function judge(id: string): Promise<void> {
    const everywhere: string[] = []
    let recorded = false
    for (const room of new Set([downloadsRoom, ...rooms])) {
      const groups = batches<string>(async (names) => {
        const spots = names.map((group): [string, string] => [room, group])
        const [reply = [0]] = await redis.findJobs(keys.totals, JSON.stringify([[id, spots]]), ...restReasons)
        const [known, ...places] = reply
        recorded = known === 1
        everywhere.push(...places)
      })
      await groups.add('') // asks where it rests, even if there is no group
      for await (const group of members(redis, 'hscan', `${keys.room(room)}:groups`)) {
        await groups.add(group)
        const hosts = await redis.zrange(`${keys.room(room)}:lanes:${group}`, '0', '-1')
        for (const host of hosts) if (host !== '') await groups.add(laneOf(group, host))
      }
      await groups.flush()
    }
    const places = [...new Set(everywhere)]
    const job = await queue.find(id)
    const key = job && !job.request ? keys.state(id) : keys.request(id)
    if (!recorded && places.length > 0) {
      onFinding({ key, what: `job ${id} is ${listed(places)}, but has no record` })
      if (!mend) return
      for (const place of places) await takeOut(id, place)
      await redis.mendJob(keys.totals, id, 'gone')
    } else if (job && places.length === 0) {
      onFinding({ key, what: `job ${id} is in no place` })
      if (mend) await putBack(job)
    } else if (places.length > 1) {
      onFinding({ key, what: `job ${id} is in ${places.length} places: ${listed(places)}` })
      const kept = places.find((place) => place.startsWith('claimed')) ?? places[0]
      if (mend) for (const place of places) if (place !== kept) await takeOut(id, place)
    }
  }

  async function takeOut(id: string, place: string): Promise<void> {
    const [, kind = '', name = '', group = ''] = /^(\S+) (\S+) ?(.*)$/s.exec(place) ?? []
    await redis.mendJob(keys.totals, id, 'take', kind, name, group)
  }

  async function putBack(job: Job): Promise<void> {
    const place = placeOfLost(job)
    if (place.kind === 'rest') await redis.mendJob(keys.totals, job.id, 'rest', place.reason)
    if (place.kind !== 'room') return
    const { room, group, gift = '', delayMs = 0 } = place
    await redis.mendJob(keys.totals, job.id, 'put', room, group, termsOf(place), gift, delayMs)
  }

  async function recount(room: string): Promise<void> {
    const key = keys.room(room)
    const [counted, pending, claimed, claims, leases, wrong] = await redis.recountRoom(key, mends)
    if (counted !== pending) onFinding({ key, what: `counts ${counted} pending jobs, and has ${pending}` })
    if (wrong > 0) onFinding({ key: `${key}:waiting`, what: `counts the jobs in lanes wrongly, of ${wrong} groups` })
    if (claimed !== claims || claims !== leases) {
      onFinding({ key, what: `has ${claims} claims, ${leases} leases, and ${claimed} jobs that run in its groups` })
    }
  }

  async function addUp(): Promise<Books> {
    const books = await booksOf(redis, keys)
    const { unaccounted } = books
    if (unaccounted === 0) return books
    const there = books.accepted - books.gone - unaccounted
    const what = `${books.accepted} accepted and ${books.gone} gone leave ${there + unaccounted} jobs, but ${there} are there`
    onFinding({ key: keys.totals, what })
    if (!mend) return books
    await redis.hincrby(keys.totals, 'accepted', -unaccounted)
    return booksOf(redis, keys)
  }
}

/** Collects items, and does them a hundred at a time. */
function batches<T>(work: (items: T[]) => Promise<void>) {
  let items: T[] = []
  const flush = async () => {
    const full = items
    items = []
    if (full.length > 0) await work(full)
  }
  return {
    flush,
    async add(item: T): Promise<void> {
      items.push(item)
      if (items.length >= BATCH) await flush()
    },
  }
}

/** The members of a set or sorted set, or the fields of a hash; some may come twice. */
async function* members(redis: Client, scan: 'zscan' | 'sscan' | 'hscan', key: string): AsyncGenerator<string> {
  let cursor = '0'
  do {
    const [next, flat] = await redis[scan](key, cursor, 'COUNT', SCAN_COUNT)
    cursor = next
    for (let i = 0; i < flat.length; i += scan === 'sscan' ? 1 : 2) yield flat[i] ?? ''
  } while (cursor !== '0')
}

const distinct = (spots: Spot[]): [string, string][] => {
  const seen = new Map(spots.map(({ room, group }) => [`${room} ${group}`, [room, group] as [string, string]]))
  return [...seen.values()]
}
const pairs = (flat: string[]): [string, string][] =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] ?? '', flat[2 * i + 1] ?? ''])
const quoted = (text: string) => JSON.stringify(text)
const listed = (places: string[]) => places.map(quoted).join(', ')
