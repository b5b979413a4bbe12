import assert from 'node:assert/strict'
import { hostOf } from '../../../src/jobs/host.ts'
import { type Move, termsOf } from '../../../src/jobs/places.ts'
import { packPatch, packRequest, unpackRequest } from '../../../src/jobs/record.ts'
import { laneOf } from '../../../src/queue/keys.ts'
import type { GroupSettings } from '../../../src/queue/queue.ts'
import type { Client } from '../../../src/queue/redis.ts'
import { type Claim, type Room, roomOf } from '../../../src/queue/room.ts'
import type { ClaimReply } from '../../../src/queue/scripts.ts'
import { addByScript, never, request } from '../../support/queue.ts'
import type { ClaimCall, NewJob, Token } from './reference.ts'
import { HOSTS, ROOMS, type Setup, type Step } from './steps.ts'
import type { World } from './world.ts'

type Args = (string | number)[]
type Doing<K extends Step['do']> = Step & { do: K }

/** A claim as its worker remembers it: it may be lost by now. */
interface Held {
  worker: Worker
  room: string
  claim: Claim
}

interface Worker {
  leaseMs: number
  rooms: Map<string, Room>
  /** What it sent last to claim from a room: to be sent again. */
  lastCalls: Map<string, Args>
  held: Held[]
}

/** A settle that was answered: to be sent again. */
interface Settled {
  held: Held
  move: Move
  args: Args
}

/** All that use the queue: each step is done to the real one, and its answer shown to the reference. */
export function clientsOf(world: World, setups: Setup[]) {
  const { q, clock, reference, sleepers, compare, unchanged, hear } = world
  const { redis, keys } = q
  const { tapped, sent } = wireTap(redis)
  const workers = setups.map(start)
  const settled: Settled[] = []
  const added: string[] = []

  function start({ leaseMs, groupLimit }: Setup): Worker {
    const rooms = ROOMS.map((name): [string, Room] => {
      const options = { name, leaseMs, groupLimit: name === 'downloads' ? 0 : groupLimit }
      return [name, roomOf(tapped, q.subscriber, keys, options, q.log)]
    })
    return { leaseMs, rooms: new Map(rooms), lastCalls: new Map(), held: [] }
  }

  const allHeld = () => workers.flatMap(({ held }) => held)

  async function addJob(id: string, host: string, job: Omit<NewJob, 'id' | 'request'>) {
    const { room, group, gift, delayMs } = job
    const text = packRequest(request({ aggrId: group, url: `http://user@${host}/${id}`, extra: `${id} ${gift}` }))
    const added = { id, request: text, group, terms: termsOf(job), gift, delayMs }
    const reply = await addByScript(redis, keys.room(room), added)
    const rate = job.rate && { ...job.rate }
    reference.add({ id, request: text, ...job, rate }, reply === 'added' ? 1 : 0)
  }

  async function add({ count, host, do: _, ...job }: Doing<'add'>): Promise<void> {
    for (let i = 0; i < count; i++) {
      const id = `job-${added.length}`
      added.push(id)
      await addJob(id, host, { ...job, limit: job.room === 'downloads' ? job.limit : 0 })
    }
  }

  async function addAgain({ which, room, group }: Doing<'add again'>): Promise<void> {
    const id = pick(added, which)
    if (id === undefined || !reference.jobs.has(id)) return
    await unchanged(() => addJob(id, HOSTS[0], { room, group, limit: 7, rate: undefined, gift: 'another', delayMs: 0 }))
  }

  async function claim(step: Doing<'claim'>): Promise<void> {
    const worker = at(workers, step.worker)
    const mine = worker.held.filter(({ room }) => room === step.room)
    const leaving = step.leaving.flatMap((n) => pick(mine, n)?.claim ?? [])
    const { claims, idleMs } = await at(worker.rooms, step.room).claim(step.count, never, leaving)
    const { args, reply } = sent()
    worker.lastCalls.set(step.room, args)
    const call = claimCall(step.room, args)
    reference.claim(call, reply as ClaimReply)
    worker.held.push(...claims.map((claim) => ({ worker, room: step.room, claim })))
    await hear() // what it rang itself was before it fell asleep
    if (claims.length === step.count) sleepers.wake(step.room, call.worker)
    else sleepers.sleep(step.room, call.worker, idleMs === -1 ? Infinity : clock.now + idleMs)
  }

  /** The first answer reached the worker, too: it knows its jobs already. */
  async function claimAgain(step: Doing<'claim again'>): Promise<void> {
    const worker = at(workers, step.worker)
    const args = worker.lastCalls.get(step.room)
    if (!args) return
    const call = claimCall(step.room, args)
    const send = async () => {
      const [key, ...rest] = args
      const reply = await redis.claimJobs(String(key), ...rest)
      reference.claim(call, reply)
      return reply
    }
    sleepers.wake(step.room, call.worker)
    const remembered = reference.rooms.get(step.room)?.calls.get(call.worker)?.number === call.number
    if (remembered) return unchanged(async () => void (await send()))
    const [, , , ...rows] = await send()
    for (const [id, token, group, gift, , , watched] of rows) {
      worker.held.push({ worker, room: step.room, claim: { job: { id } as Claim['job'], token, group, gift, watched } })
    }
  }

  async function settle({ which, place, patch, held: host, resent }: Doing<'settle'>): Promise<void> {
    const held = pick(allHeld(), which)
    if (!held) return
    const { rooms, held: mine } = held.worker
    const move: Move = { place, patch, ...(host && { verdict: { host, says: '' } }) }
    mine.splice(mine.indexOf(held), 1)
    const send = async () => {
      const reply = await at(rooms, held.room).settle(held.claim, move, never)
      settled.push({ held, move, args: sent().args })
      reference.settle(held.room, tokenOf(held), move, reply)
    }
    const late = !reference.holderOf(tokenOf(held), held.room)
    await (late ? unchanged(send) : send())
    if (!resent) return
    await compare()
    await settleAgain(settled.length - 1)
  }

  async function settleAgain(which: number): Promise<void> {
    const one = pick(settled, which)
    if (!one) return
    const { held, move, args } = one
    if (reference.holderOf(tokenOf(held), held.room)) return // claimed anew by a call that was sent again
    const [room, target, ...rest] = args
    await unchanged(async () => {
      const reply = await redis.settleClaim(String(room), String(target), ...rest)
      reference.settle(held.room, tokenOf(held), move, reply)
    })
  }

  async function extend({ which }: Doing<'extend'>): Promise<void> {
    const [first] = which.flatMap((n) => pick(allHeld(), n) ?? [])
    if (!first) return
    const { room, worker } = first
    const mine = worker.held.filter((one) => one.room === room)
    const some = which.flatMap((n) => pick(mine, n) ?? [])
    const { lost } = await at(worker.rooms, room).extend(some)
    reference.extend(room, worker.leaseMs, some.map(tokenOf), lost)
  }

  async function wake({ which, resting, room, group, shrink, patch, ...step }: Doing<'wake'>): Promise<void> {
    const rests = added.filter((id) => reference.jobs.get(id)?.spot.kind === 'rest')
    const id = pick(resting ? rests : added, which)
    if (id === undefined) return
    const { spot } = reference.jobs.get(id) ?? {}
    const reason = resting && spot?.kind === 'rest' ? spot.reason : step.reason
    const send = async () => {
      const args = [id, '', 'room', group, 0, '', 0, shrink ? '1' : '0', ...packPatch(patch)]
      const reply = await redis.moveJob(keys.rest(reason), keys.room(room), ...args)
      reference.wake({ id, reason, room, group, shrink, patch }, reply)
    }
    await send()
    await compare()
    await unchanged(send)
  }

  /** What waits for its time need not wait any longer. */
  async function hasten({ which, patch }: Doing<'hasten'>): Promise<void> {
    const waiting = [...reference.jobs].flatMap(([id, { spot, request }]) => {
      return spot.kind === 'pending' && spot.at > clock.now ? { id, request, ...spot } : []
    })
    const job = pick(waiting, which)
    if (!job) return
    const { id, request, room, group } = job
    const move = (where: string) => {
      const args = [id, where, 'room', group, 0, '', 0, '0', ...packPatch(patch)]
      return redis.moveJob(keys.room(room), keys.room(room), ...args)
    }
    const reply = await move(group)
    const lane = request && laneOf(group, hostOf(unpackRequest(request).url))
    reference.hasten(id, patch, reply === 'absent' && lane ? await move(lane) : reply)
  }

  /** It remembers nothing: what it held must come back by itself. Another one takes its place. */
  function crash(number: number, setup: Setup): void {
    for (const [room, args] of at(workers, number).lastCalls) sleepers.wake(room, claimCall(room, args).worker)
    workers[number] = start(setup)
  }

  /** It hands back what it holds. Another one takes its place. */
  async function stop(number: number, setup: Setup): Promise<void> {
    const { held, rooms } = at(workers, number)
    const place = { kind: 'back' as const }
    for (const one of held) {
      const reply = await at(rooms, one.room).settle(one.claim, { place, patch: {} }, never)
      reference.settle(one.room, tokenOf(one), { place, patch: {} }, reply)
    }
    for (const room of rooms.values()) await room.retire()
    crash(number, setup)
  }

  async function wait(ms: number): Promise<void> {
    await clock.advance(ms)
    reference.advance(ms)
  }

  async function adjust(room: string, group: string, settings: GroupSettings): Promise<void> {
    await q.queue.adjust(room, group, settings)
    reference.adjust(room, group, settings)
  }

  async function act(step: Step): Promise<void> {
    switch (step.do) {
      case 'add':
        return add(step)
      case 'add again':
        return addAgain(step)
      case 'claim':
        return claim(step)
      case 'claim again':
        return claimAgain(step)
      case 'settle':
        return settle(step)
      case 'settle again':
        return settleAgain(step.which)
      case 'extend':
        return extend(step)
      case 'wait':
        return wait(step.ms)
      case 'wait until':
        return wait(Math.max(0, (pick(reference.moments(), step.which) ?? 0) + step.ms - clock.now))
      case 'adjust':
        return adjust(step.room, step.group, step.settings)
      case 'wake':
        return wake(step)
      case 'hasten':
        return hasten(step)
      case 'crash':
        return crash(step.worker, step.setup)
      case 'stop':
        return stop(step.worker, step.setup)
    }
  }

  return {
    /** Takes one step, and compares all that there is. */
    async take(step: Step): Promise<void> {
      await act(step)
      await compare()
    },

    /** Everybody finishes: whatever there is can be claimed and settled, and nothing is left but what rests. */
    async drain(): Promise<void> {
      for (const { held } of workers) held.length = 0 // all leases will be over
      for (const room of ROOMS) {
        for (const group of [...(reference.rooms.get(room)?.overrides.keys() ?? [])]) {
          await adjust(room, group, {})
        }
      }
      const awake = () => [...reference.jobs.values()].filter(({ spot }) => spot.kind !== 'rest').length
      for (let rounds = awake(); awake() > 0 && rounds > 0; rounds--) {
        await wait(50_000)
        for (const room of ROOMS) {
          const { held } = at(workers, 0)
          await claim({ do: 'claim', worker: 0, room, count: 1000, leaving: [] })
          const settle = { do: 'settle', patch: {}, place: { kind: 'gone' }, held: undefined, resent: false } as const
          while (held.length > 0) await act({ ...settle, which: held.length - 1 })
        }
      }
      await compare()
      assert.equal(awake(), 0, 'jobs are left over')
      for (const { groups } of reference.rooms.values()) assert.equal(groups.size, 0)
    },
  }
}

/** The same client, and what it sent last of what may be sent again. */
function wireTap(redis: Client): { tapped: Client; sent: () => { args: Args; reply: unknown } } {
  let last: { args: Args; reply: unknown } = { args: [], reply: undefined }
  const tapped: Client = Object.create(redis)
  tapped.claimJobs = async (room, ...args) => {
    const reply = await redis.claimJobs(room, ...args)
    last = { args: [room, ...args], reply }
    return reply
  }
  tapped.settleClaim = async (room, target, ...args) => {
    const reply = await redis.settleClaim(room, target, ...args)
    last = { args: [room, target, ...args], reply }
    return reply
  }
  return { tapped, sent: () => last }
}

/** Reads the arguments of claim.lua. */
function claimCall(room: string, [, worker, number, count, leaseMs, groupLimit, , , ...pairs]: Args): ClaimCall {
  const leaving: Token[] = []
  for (let i = 0; i < pairs.length; i += 2) leaving.push({ id: String(pairs[i]), token: String(pairs[i + 1]) })
  return {
    room,
    worker: String(worker),
    number: String(number),
    count: Number(count),
    leaseMs: Number(leaseMs),
    groupLimit: Number(groupLimit),
    leaving,
  }
}

const tokenOf = ({ claim }: Held): Token => ({ id: claim.job.id, token: claim.token })

const pick = <T>(from: T[], which: number): T | undefined => from[which % from.length]

function at<T>(from: T[], which: number): T
function at<K, T>(from: Map<K, T>, which: K): T
function at<K, T>(from: T[] | Map<K, T>, which: K | number): T {
  const found = Array.isArray(from) ? from[which as number] : from.get(which as K)
  assert.ok(found !== undefined)
  return found
}
