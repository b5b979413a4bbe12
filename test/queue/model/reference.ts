import assert from 'node:assert/strict'
import { hostOf } from '../../../src/jobs/host.ts'
import type { Move, Place, Rate, RestReason } from '../../../src/jobs/places.ts'
import { type Patch, packPatch, unpackRequest } from '../../../src/jobs/record.ts'
import { laneOf } from '../../../src/queue/keys.ts'
import type { GroupSettings } from '../../../src/queue/queue.ts'
import type { ClaimReply, ClaimRow } from '../../../src/queue/scripts.ts'
import { turnsOf } from './turns.ts'

/** Where a job is. Times are ms since the epoch. */
export type Spot =
  | { kind: 'pending'; room: string; group: string; at: number }
  | { kind: 'claimed'; room: string; group: string; at: number; token: string; leaseEnd: number; left: boolean }
  | { kind: 'rest'; reason: RestReason; since: number }

export interface ModelJob {
  spot: Spot
  /** Gone once the record has shrunk. */
  request: string | undefined
  state: Record<string, string>
}

interface ModelGroup {
  limit: number
  rate: Rate | undefined
  gift: string
  holdUntil: number
}

export interface ModelRoom {
  /** Of groups whose jobs bring none. */
  limit: number | undefined
  groups: Map<string, ModelGroup>
  overrides: Map<string, GroupSettings>
  /** Until when a host is held in a group, by lane. While nothing ever was, jobs start in the order of their times. */
  held: Map<string, number>
  /** When all the burst of a group with a rate will be there again. */
  paces: Map<string, number>
  /** The last call of each worker that gave it jobs. */
  calls: Map<string, { number: string; ids: string[]; until: number }>
  /** How many calls gave jobs. */
  seq: number
}

export interface NewJob {
  id: string
  request: string
  room: string
  group: string
  limit: number
  rate: Rate | undefined
  gift: string
  delayMs: number
}

export interface ClaimCall {
  room: string
  worker: string
  number: string
  count: number
  leaseMs: number
  /** 0: leave the room's as it is. */
  groupLimit: number
  leaving: Token[]
}

export interface Token {
  id: string
  token: string
}

export interface Waking {
  id: string
  reason: RestReason
  room: string
  group: string
  shrink: boolean
  patch: Patch
}

/**
 * What the queue promises, in plain data structures: it has no line and no index, and looks through all jobs each time.
 * Every function is told what the real queue answered, throws when it may not answer so, and then knows where every job
 * must be. Where the queue has a choice (whose turn it is) the answer is judged by the rule, and then followed.
 */
export function referenceQueue(start: number) {
  const jobs = new Map<string, ModelJob>()
  const rooms = new Map<string, ModelRoom>()
  const turns = turnsOf(canStart)
  let accepted = 0
  let gone = 0
  let now = start

  function roomOf(name: string): ModelRoom {
    const known = rooms.get(name)
    if (known) return known
    const held = new Map()
    const paces = new Map()
    const room = { limit: undefined, groups: new Map(), overrides: new Map(), held, paces, calls: new Map(), seq: 0 }
    rooms.set(name, room)
    return room
  }

  function* spotsIn<K extends 'pending' | 'claimed'>(kind: K, room: string, group?: string) {
    for (const [id, job] of jobs) {
      const { spot } = job
      if (spot.kind !== kind || spot.room !== room || (group !== undefined && spot.group !== group)) continue
      yield { id, job, spot: spot as Spot & { kind: K } }
    }
  }

  /** How many more jobs of the group may run, and from when on: nothing when none may. */
  function placesIn(name: string, group: string): number {
    const room = roomOf(name)
    const { limit = 0 } = room.groups.get(group) ?? {}
    const operator = room.overrides.get(group) ?? {}
    if (operator.paused) return 0
    const running = [...spotsIn('claimed', name, group)].filter(({ spot }) => !spot.left).length
    return Math.max(0, (operator.limit ?? (limit > 0 ? limit : (room.limit ?? 1))) - running)
  }

  function startsIn(name: string, group: string): number[] {
    const { holdUntil = 0 } = roomOf(name).groups.get(group) ?? {}
    const starts = [...spotsIn('pending', name, group)].map(({ job, spot }) => {
      return Math.max(spot.at, holdUntil, heldUntil(name, group, job))
    })
    return starts.sort((a, b) => a - b)
  }

  function heldUntil(name: string, group: string, { request }: ModelJob): number {
    const host = request === undefined ? '' : hostOf(unpackRequest(request).url)
    return roomOf(name).held.get(laneOf(group, host)) ?? 0
  }

  function rateOf(name: string, group: string): Rate | undefined {
    const { rate, burst = 1 } = roomOf(name).overrides.get(group) ?? {}
    return rate === undefined ? roomOf(name).groups.get(group)?.rate : { perSecond: rate, burst }
  }

  /** How many jobs the rate of the group lets start at this moment; and from when on the next one. */
  function allowance(name: string, group: string): { count: number; from: number } {
    const rate = rateOf(name, group)
    if (!rate) return { count: Infinity, from: 0 }
    const interval = 1000 / rate.perSecond
    const earliest = (roomOf(name).paces.get(group) ?? 0) - (rate.burst - 1) * interval - 0.001
    const count = earliest > now ? 0 : Math.min(rate.burst, Math.floor((now - earliest) / interval) + 1)
    return { count, from: Math.ceil(earliest) }
  }

  /** How many jobs of the group could start at this moment. */
  function canStart(name: string, group: string): number {
    const due = startsIn(name, group).filter((at) => at <= now).length
    return Math.min(placesIn(name, group), due, allowance(name, group).count)
  }

  type Terms = Pick<ModelGroup, 'limit' | 'gift'> & { rate?: Rate | undefined }

  function enqueue(id: string, name: string, group: string, { limit, rate, gift }: Terms, at: number): void {
    const { groups } = roomOf(name)
    if (!groups.has(group)) groups.set(group, { limit, rate, gift, holdUntil: 0 })
    const job = known(id)
    job.spot = { kind: 'pending', room: name, group, at }
  }

  function known(id: string): ModelJob {
    const job = jobs.get(id)
    assert.ok(job, `${id} is no job`)
    return job
  }

  /** A group ends with its last job. To be called when a step is done. */
  function settleDown(): void {
    for (const [name, { groups }] of rooms) {
      for (const group of groups.keys()) {
        const lives = spotsIn('pending', name, group).next().done !== true
        if (!lives && spotsIn('claimed', name, group).next().done) groups.delete(group)
      }
      turns.forgetIdle(name)
    }
  }

  function holderOf({ id, token }: Token, room: string): (ModelJob & { spot: Spot & { kind: 'claimed' } }) | undefined {
    const job = jobs.get(id)
    const { spot } = job ?? {}
    if (!job || spot?.kind !== 'claimed' || spot.room !== room || spot.token !== token) return undefined
    return job as ModelJob & { spot: Spot & { kind: 'claimed' } }
  }

  function serve(call: ClaimCall, [id, token, group, gift, request, state]: ClaimRow): void {
    const job = known(id)
    const { spot } = job
    assert.equal(token, `${call.worker}:${call.number}`)
    assert.ok(
      spot.kind === 'pending' && spot.room === call.room,
      `${id} was given away, but is ${JSON.stringify(spot)}`,
    )
    assert.equal(group, spot.group)
    assert.ok(placesIn(call.room, group) > 0, `${id} was started over the limit of ${group}`)
    const [first = Infinity] = startsIn(call.room, group)
    assert.ok(first <= now, `${id} was started ${first - now} ms too early`)
    assert.ok(heldUntil(call.room, group, job) <= now, `${id} was started while its host is held`)
    assert.ok(allowance(call.room, group).count > 0, `${id} was started faster than the rate of ${group} lets it`)
    const { held, groups, paces } = roomOf(call.room)
    if (held.size === 0) {
      const others = [...spotsIn('pending', call.room, group)].map(({ spot }) => spot.at)
      assert.equal(spot.at, Math.min(...others), `${id} was started before others of its group`)
      turns.served(call.room, group, groups.keys())
    }
    const rate = rateOf(call.room, group)
    if (rate) paces.set(group, Math.max(now, paces.get(group) ?? 0) + 1000 / rate.perSecond)
    if (Object.keys(job.state).length === 0) job.state = { created: String(spot.at) }
    job.spot = { ...spot, kind: 'claimed', token, leaseEnd: now + call.leaseMs, left: false }
    assert.equal(gift, roomOf(call.room).groups.get(group)?.gift)
    assert.equal(request ?? undefined, job.request)
    assert.deepEqual(fieldsOf(state), job.state)
  }

  /** A call that was answered before: the same jobs, as far as the worker still has them, and nothing changes. */
  function repeated(call: ClaimCall, ids: string[], [standsMs, idleMs, seq, ...rows]: ClaimReply): void {
    const token = `${call.worker}:${call.number}`
    const held = ids.flatMap((id) => holderOf({ id, token }, call.room) ?? [])
    const stands = Math.min(call.leaseMs, ...held.map(({ spot }) => spot.leaseEnd - now))
    assert.deepEqual([standsMs, idleMs, seq], [stands, 0, roomOf(call.room).seq])
    const expected = ids.flatMap((id): ClaimRow[] => {
      const job = holderOf({ id, token }, call.room)
      if (!job) return []
      const { gift = '' } = roomOf(call.room).groups.get(job.spot.group) ?? {}
      return [[id, token, job.spot.group, gift, job.request ?? null, Object.entries(job.state).flat(), '']]
    })
    assert.deepEqual(rows.map(comparable), expected.map(comparable))
  }

  /** @returns when something of the room can be claimed first if nobody does anything; `Infinity` for never */
  function nextClaimable(name: string): number {
    const claims = [...spotsIn('claimed', name)].sort((a, b) => a.spot.leaseEnd - b.spot.leaseEnd)
    const kept = claims.map(({ job }) => job.spot)
    let first = firstStart(name, now)
    for (const { job, spot } of claims) {
      job.spot = { kind: 'pending', room: name, group: spot.group, at: spot.at }
      first = Math.min(first, firstStart(name, spot.leaseEnd))
    }
    claims.forEach(({ job }, i) => {
      job.spot = kept[i] ?? job.spot
    })
    return first
  }

  function firstStart(name: string, from: number): number {
    const open = [...roomOf(name).groups.keys()].filter((group) => placesIn(name, group) > 0)
    const starts = open.flatMap((group) => startsIn(name, group).map((at) => Math.max(at, allowance(name, group).from)))
    return Math.max(from, Math.min(...starts))
  }

  return {
    jobs,
    rooms,
    nextClaimable,
    holderOf,
    get now() {
      return now
    },
    get totals() {
      return { accepted, gone }
    },

    /** The moments at which something runs out or becomes due. */
    moments(): number[] {
      const spots = [...jobs.values()].flatMap(({ spot }) => {
        return spot.kind === 'pending' ? spot.at : spot.kind === 'claimed' ? spot.leaseEnd : []
      })
      const holds = [...rooms.values()].flatMap(({ groups }) => [...groups.values()].map(({ holdUntil }) => holdUntil))
      const held = [...rooms.values()].flatMap(({ held }) => [...held.values()])
      const paces = [...rooms.values()].flatMap(({ paces }) => [...paces.values()].map(Math.ceil))
      return [...spots, ...holds, ...held, ...paces]
    },

    advance(ms: number): void {
      now += ms
      for (const { calls } of rooms.values()) {
        for (const [worker, { until }] of calls) if (until <= now) calls.delete(worker)
      }
    },

    add({ id, request, room, group, delayMs, ...terms }: NewJob, reply: number): void {
      const isNew = !jobs.has(id)
      assert.equal(reply, isNew ? 1 : 0, `accepting ${id}`)
      if (!isNew) return
      accepted++
      jobs.set(id, { spot: { kind: 'rest', reason: 'done', since: 0 }, request, state: {} })
      enqueue(id, room, group, terms, now + delayMs)
      settleDown()
    },

    claim(call: ClaimCall, reply: ClaimReply): void {
      const room = roomOf(call.room)
      const last = room.calls.get(call.worker)
      if (last?.number === call.number) {
        repeated(call, last.ids, reply)
        return
      }

      if (call.groupLimit > 0) room.limit = call.groupLimit
      turns.forgetIdle(call.room)
      for (const claim of call.leaving) {
        const job = holderOf(claim, call.room)
        if (job) job.spot.left = true
      }
      for (const { job, spot } of [...spotsIn('claimed', call.room)]) {
        if (spot.leaseEnd > now) continue
        job.spot = { kind: 'pending', room: call.room, group: spot.group, at: spot.at }
        job.state.stalls = String(Number(job.state.stalls ?? 0) + 1)
      }

      const [standsMs, idleMs, seq, ...rows] = reply
      const possible = [...room.groups.keys()].reduce((sum, group) => sum + canStart(call.room, group), 0)
      assert.equal(
        rows.length,
        Math.min(call.count, possible),
        `${possible} jobs could start, ${call.count} were wanted`,
      )
      for (const row of rows) serve(call, row)
      if (rows.length > 0) {
        room.seq++
        room.calls.set(call.worker, {
          number: call.number,
          ids: rows.map(([id]) => id),
          until: now + 2 * call.leaseMs,
        })
      }
      assert.equal(standsMs, call.leaseMs)
      assert.equal(seq, rows.length > 0 ? room.seq : 0)
      if (rows.length < call.count) {
        assert.ok(idleMs > 0 || idleMs === -1, `a worker that found nothing shall come back after ${idleMs} ms`)
        const next = nextClaimable(call.room)
        const wakes = idleMs === -1 ? Infinity : now + idleMs
        assert.ok(wakes <= next, `something can be claimed ${wakes - next} ms before the worker comes back`)
      }
      settleDown()
    },

    extend(room: string, leaseMs: number, claims: Token[], lost: string[]): void {
      const gone = claims.filter((claim) => !holderOf(claim, room)).map(({ id }) => id)
      assert.deepEqual(lost, gone, 'leases that were lost')
      for (const claim of claims) {
        const job = holderOf(claim, room)
        if (job) job.spot.leaseEnd = now + leaseMs
      }
    },

    settle(room: string, { id, token }: Token, { place, patch, verdict }: Move, reply: string): void {
      const job = holderOf({ id, token }, room)
      if (!job) {
        const before = jobs.get(id)
        assert.equal(reply, before ? (before.state.settled === token ? 'settled' : 'lost') : 'gone', `settling ${id}`)
        return
      }
      assert.equal(reply, 'settled', `settling ${id}`)
      const { group, at } = job.spot
      const left = roomOf(room).groups.get(group)
      if (verdict && place.holdMs) {
        const { held } = roomOf(room)
        const lane = laneOf(group, verdict.host)
        held.set(lane, Math.max(held.get(lane) ?? 0, now + place.holdMs))
      } else if (left && place.holdMs) left.holdUntil = Math.max(left.holdUntil, now + place.holdMs)
      if (place.kind === 'gone') {
        jobs.delete(id)
        gone++
      } else {
        Object.assign(job.state, fieldsOf(packPatch(patch)), { settled: token })
        if (place.kind === 'rest' || place.kind === 'room') delete job.state.stalls
        move(id, room, group, at, place)
      }
      settleDown()
    },

    wake({ id, reason, room, group, shrink, patch }: Waking, reply: string): void {
      const job = jobs.get(id)
      const rests = job?.spot.kind === 'rest' && job.spot.reason === reason
      assert.equal(reply, rests ? 'moved' : job ? 'absent' : 'unknown', `waking ${id}`)
      if (!job || !rests) return
      Object.assign(job.state, fieldsOf(packPatch(patch)))
      if (shrink) job.request = undefined
      enqueue(id, room, group, { limit: 0, gift: '' }, now)
      settleDown()
    },

    /** It leaves its place, and comes back to the same room and group, to start now. */
    hasten(id: string, patch: Patch, reply: string): void {
      assert.equal(reply, 'moved', `hastening ${id}`)
      const job = known(id)
      const { spot } = job
      assert.ok(spot.kind === 'pending')
      delete job.state.stalls
      Object.assign(job.state, fieldsOf(packPatch(patch)))
      job.spot = { kind: 'rest', reason: 'done', since: now }
      settleDown() // its group ends, if it was alone
      enqueue(id, spot.room, spot.group, { limit: 0, gift: '' }, now)
      settleDown()
    },

    adjust(room: string, group: string, settings: GroupSettings): void {
      if (Object.keys(settings).length === 0) roomOf(room).overrides.delete(group)
      else roomOf(room).overrides.set(group, { ...settings })
      settleDown()
    },
  }

  function move(id: string, room: string, group: string, at: number, place: Place): void {
    const job = known(id)
    if (place.kind === 'rest') job.spot = { kind: 'rest', reason: place.reason, since: now }
    else if (place.kind === 'back') job.spot = { kind: 'pending', room, group, at }
    else if (place.kind === 'again') job.spot = { kind: 'pending', room, group, at: now + place.delayMs }
    else if (place.kind === 'room') {
      if (place.shrink) job.request = undefined
      const { limit = 0, rate, gift = '', delayMs = 0 } = place
      enqueue(id, place.room, place.group, { limit, rate, gift }, now + delayMs)
    }
  }
}

export type Reference = ReturnType<typeof referenceQueue>

function fieldsOf(flat: string[]): Record<string, string> {
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i] as string] = flat[i + 1] as string
  return fields
}

/** The fields of the state may come in any order. */
const comparable = ([id, token, group, gift, request, state]: ClaimRow) => {
  return { id, token, group, gift, request, state: fieldsOf(state) }
}
