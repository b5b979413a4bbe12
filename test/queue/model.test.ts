import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Place } from '../../src/jobs/places.ts'
import { packRequest } from '../../src/jobs/record.ts'
import type { ClaimReply, ClaimRow } from '../../src/queue/scripts.ts'
import { addByScript, openQueue, queueSuite, request, type Snapshot, type TestQueue } from '../support/queue.ts'

const LEASE_MS = 10_000
const GROUPS = ['cats', 'a : b\n{c}']
const WORKERS = ['worker-0', 'worker-1', 'worker-2']

const group = fc.constantFrom(...GROUPS)
const worker = fc.constantFrom(...WORKERS)
/** Picks one of what there is at that moment. */
const which = fc.nat(1000)
const limit = fc.integer({ min: 1, max: 4 })
const delayMs = fc.constantFrom(0, 0, 0, 5000, 20_000)

const holdMs = fc.constantFrom(0, 0, 8000, 30_000)

const place: fc.Arbitrary<Place> = fc.oneof(
  fc.record({ kind: fc.constant('again' as const), delayMs, holdMs }),
  fc.record({ kind: fc.constant('back' as const) }),
  fc.record({
    kind: fc.constant('rest' as const),
    reason: fc.constantFrom('done' as const, 'callback-failed' as const),
    holdMs,
  }),
  fc.record({ kind: fc.constant('gone' as const) }),
  fc.record({
    kind: fc.constant('room' as const),
    room: fc.constantFrom('callbacks:http', 'deletions:files'),
    group,
    delayMs,
    shrink: fc.boolean(),
    holdMs,
  }),
)

const room = fc.constantFrom('downloads', 'callbacks:http', 'deletions:files')

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), room, group, limit, delayMs }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('add again' as const), which, group }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('claim' as const),
      worker,
      room,
      count: fc.integer({ min: 0, max: 4 }),
      roomLimit: limit,
      leaving: fc.array(which, { maxLength: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('claim again' as const), worker, room }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('settle' as const), which, place }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle again' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('extend' as const), which: fc.array(which, { maxLength: 4 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('travel' as const), ms: fc.constantFrom(1, 3000, 9000, 11_000, 40_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('adjust' as const),
      room,
      group,
      settings: fc.oneof(fc.constant({}), fc.record({ limit }), fc.record({ paused: fc.boolean() })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wake' as const), which, group, shrink: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const), worker }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** A claim as its worker remembers it: it may be lost by now. */
interface Held {
  id: string
  token: string
  room: string
}

/** What the clients of the queue know. */
const newClients = () => ({
  held: [] as Held[],
  ended: [] as { claim: Held; place: Place; reply: string }[],
  added: [] as string[],
  lastCall: new Map<string, { args: (string | number)[]; reply: ClaimReply }>(),
  calls: 0,
})
type Clients = ReturnType<typeof newClients>

const pick = <T>(from: T[], which: number): T | undefined => from[which % from.length]

/** Where a job is: `pending <room> <group>`, `claimed <room> <group> <token>`, `rest <reason>`; nowhere when it is gone. */
type Places = Map<string, string>

function placesOf({ rooms, rest }: Snapshot): Places {
  const places: Places = new Map()
  for (const [name, room] of rooms) {
    for (const [group, ids] of room.pending) for (const id of ids.keys()) places.set(id, `pending ${name} ${group}`)
    for (const [id, { group, token }] of room.claims) places.set(id, `claimed ${name} ${group} ${token}`)
  }
  for (const [reason, ids] of rest) for (const id of ids.keys()) places.set(id, `rest ${reason}`)
  return places
}

/** What a step must have done, given the books before and after it: the places of the jobs that it moved. */
type Moved = Map<string, string | undefined>
type Verdict = (after: Snapshot) => Moved

const nothing: Verdict = () => new Map()

/** All that a claim call may and must do. */
function judgeClaim(
  before: Snapshot,
  step: Step & { do: 'claim' },
  leaving: Held[],
  reply: ClaimReply,
  token: string,
): Verdict {
  return (after) => {
    const [, idleMs, , ...rows] = reply
    const room = before.rooms.get(step.room)
    const now = after.rooms.get(step.room)
    const moved: Moved = new Map()

    // what ran out came back, once, and nothing else did
    for (const [id, claim] of room?.claims ?? []) {
      const end = room?.leases.get(id) ?? 0
      const held = now?.claims.get(id)?.token === claim.token
      if (end <= before.now) assert.ok(!held, `${id} is still claimed, ${before.now - end} ms after its lease`)
      if (end > after.now) assert.ok(held, `${id} was taken away, ${end - after.now} ms before the end of its lease`)
      const stalls = (at: Snapshot) => Number(at.states.get(id)?.get('stalls') ?? 0)
      assert.equal(stalls(after), stalls(before) + (held ? 0 : 1), `stalls of ${id}`)
      if (!held) moved.set(id, `pending ${step.room} ${claim.group}`)
    }
    for (const [id, given, group] of rows) {
      assert.equal(given, token)
      const due = room?.pending.get(group)?.get(id) ?? room?.claims.get(id)?.score
      assert.ok(due !== undefined && due <= after.now, `${id} was claimed, but not due`)
      moved.set(id, `claimed ${step.room} ${group} ${token}`)
    }

    // no worker is left idle while a group could start something, and it sleeps no longer than it may
    if (now && rows.length < step.count) {
      assert.deepEqual(
        [...now.line.keys()],
        [],
        'groups stand in the line, and the worker got fewer jobs than it asked for',
      )
      const times = [...now.due.values(), ...now.leases.values()]
      for (const at of now.due.values()) assert.ok(at > before.now, 'a group that was due was not served')
      if (times.length === 0) assert.equal(idleMs, -1)
      else assert.ok(idleMs <= Math.min(...times) - before.now && idleMs >= Math.min(...times) - after.now, `${idleMs}`)
    }
    judgeTurns(before, step.room, rows)
    for (const [group, ids] of now?.left ?? []) {
      for (const id of ids) {
        const mine = leaving.some((claim) => claim.id === id && room?.claims.get(id)?.token === claim.token)
        assert.ok(mine || room?.left.get(group)?.has(id), `${id} counts no more, and its holder did not say so`)
      }
    }
    return moved
  }
}

/** Nobody is served twice in a row while another group, which stood in the line, had a job and a place for it. */
function judgeTurns(before: Snapshot, name: string, rows: ClaimRow[]): void {
  const room = before.rooms.get(name)
  for (const [i, [, , group]] of rows.entries()) {
    if (rows[i + 1]?.[2] !== group) continue
    for (const other of room?.line.keys() ?? []) {
      if (other === group) continue
      const served = rows.slice(0, i + 1).filter(([, , one]) => one === other).length
      const due = [...(room?.pending.get(other)?.values() ?? [])].filter((at) => at <= before.now).length
      const brought = Number.parseInt(room?.groups.get(other) ?? '0', 10)
      const { limit = brought, paused = false } = JSON.parse(room?.overrides.get(other) ?? '{}')
      const running = (room?.claimed.get(other)?.size ?? 0) - (room?.left.get(other)?.size ?? 0)
      const could = paused ? 0 : Math.min(due, limit - running)
      assert.ok(served >= could, `${group} was served twice in a row, and ${other} waited`)
    }
  }
}

function placeAfter(claim: Held, group: string, place: Place): string | undefined {
  if (place.kind === 'gone') return undefined
  if (place.kind === 'rest') return `rest ${place.reason}`
  return place.kind === 'room' ? `pending ${place.room} ${place.group}` : `pending ${claim.room} ${group}`
}

/** Takes the step. The books before it, and what everybody did until then, say what must come of it. */
async function run(q: TestQueue, clients: Clients, step: Step, before: Snapshot): Promise<Verdict> {
  const { redis, keys } = q
  const holder = ({ id, room }: Held) => before.rooms.get(room)?.claims.get(id)?.token
  const exists = (id: string) => before.requests.has(id) || before.states.has(id)

  switch (step.do) {
    case 'add': {
      const id = `job-${String(clients.added.length).padStart(10, '0')}`
      const text = packRequest(request({ aggrId: step.group }))
      const brings = step.room === 'downloads' ? step.limit : 0
      const job = { id, request: text, group: step.group, limit: brings, delayMs: step.delayMs }
      assert.equal(await addByScript(redis, keys.room(step.room), job), 'added')
      clients.added.push(id)
      return () => new Map([[id, `pending ${step.room} ${step.group}`]])
    }
    case 'add again': {
      const id = pick(clients.added, step.which)
      if (id === undefined || !before.requests.has(id)) return nothing
      await unchanged(q, async () => {
        assert.equal(
          await addByScript(redis, keys.room('downloads'), { id, request: '{}', group: step.group }),
          'known',
        )
      })
      return nothing
    }
    case 'claim': {
      const leaving = step.leaving.flatMap(
        (n) =>
          pick(
            clients.held.filter(({ room }) => room === step.room),
            n,
          ) ?? [],
      )
      const roomLimit = step.room === 'downloads' ? 0 : step.roomLimit
      const pairs = leaving.flatMap(({ id, token }) => [id, token])
      const args = [step.worker, ++clients.calls, step.count, LEASE_MS, roomLimit, 0, ...pairs]
      const reply = await redis.claimJobs(keys.room(step.room), ...args)
      const claims = reply.slice(3) as ClaimRow[]
      assert.ok(claims.length <= step.count)
      for (const [id, token] of claims) clients.held.push({ id, token, room: step.room })
      clients.lastCall.set(`${step.worker} ${step.room}`, { args, reply })
      return judgeClaim(before, step, leaving, reply, `${step.worker}:${clients.calls}`)
    }
    case 'claim again': {
      const last = clients.lastCall.get(`${step.worker} ${step.room}`)
      if (!last || last.reply.length === 3) return nothing
      // a worker sends a call again as long as it was not answered, which is never longer than this
      const call = before.rooms.get(step.room)?.calls.get(step.worker)
      if (call === undefined) return nothing
      await unchanged(q, async () => {
        const [, , , ...again] = await redis.claimJobs(keys.room(step.room), ...last.args)
        const [, , , ...first] = last.reply
        const still = first.filter(([id, token]) => holder({ id, token, room: step.room }) === token)
        assert.deepEqual(
          again.map(([id, token, group]) => [id, token, group]),
          still.map(([id, token, group]) => [id, token, group]),
        )
      })
      return nothing
    }
    case 'settle': {
      const claim = pick(clients.held, step.which)
      if (!claim) return nothing
      clients.held.splice(clients.held.indexOf(claim), 1)
      const expected = holder(claim) === claim.token ? 'settled' : exists(claim.id) ? 'lost' : 'gone'
      const settle = async () => {
        const reply = await settleRaw(q, claim, step.place)
        assert.equal(reply, expected)
        clients.ended.push({ claim, place: step.place, reply })
      }
      if (expected !== 'settled') {
        await unchanged(q, settle)
        return nothing
      }
      const { group, score } = before.rooms.get(claim.room)?.claims.get(claim.id) ?? { group: '', score: 0 }
      await settle()
      const resent = step.place.kind === 'gone' ? 'gone' : 'settled'
      await unchanged(q, async () => assert.equal(await settleRaw(q, claim, step.place), resent))
      return ({ rooms, states }) => {
        const { kind } = step.place
        if (kind === 'rest' || kind === 'room') assert.equal(states.get(claim.id)?.get('stalls'), undefined)
        if (kind === 'back') assert.equal(rooms.get(claim.room)?.pending.get(group)?.get(claim.id), score)
        return new Map([[claim.id, placeAfter(claim, group, step.place)]])
      }
    }
    case 'settle again': {
      const last = pick(clients.ended, step.which)
      if (!last) return nothing
      await unchanged(q, async () => {
        const reply = await settleRaw(q, last.claim, last.place)
        // somebody may have settled it since: then it is not ours any more
        if (last.reply === 'settled') assert.ok(['settled', 'lost', 'gone'].includes(reply))
        else assert.notEqual(reply, 'settled')
        const mine = before.states.get(last.claim.id)?.get('settled') === last.claim.token
        assert.equal(reply === 'settled', mine && last.reply === 'settled')
      })
      return nothing
    }
    case 'extend': {
      const room = pick(clients.held, step.which[0] ?? 0)?.room
      if (room === undefined) return nothing
      const claims = step.which.flatMap(
        (n) =>
          pick(
            clients.held.filter((claim) => claim.room === room),
            n,
          ) ?? [],
      )
      const args = claims.flatMap(({ id, token }) => [id, token, ''])
      const [lost] =
        args.length === 0 ? [[]] : await redis.extendLeases(keys.room(room), LEASE_MS, 'worker-0', 0, ...args)
      const expected = claims.filter((claim) => holder(claim) !== claim.token).map(({ id }) => id)
      assert.deepEqual(lost, expected)
      return nothing
    }
    case 'travel':
      await q.travel(step.ms)
      return nothing
    case 'adjust':
      await q.queue.adjust(step.room, step.group, step.settings)
      return nothing
    case 'crash':
      // it remembers nothing: what it held must come back by itself
      clients.held = clients.held.filter(({ token }) => !token.startsWith(`${step.worker}:`))
      for (const call of [...clients.lastCall.keys()]) {
        if (call.startsWith(`${step.worker} `)) clients.lastCall.delete(call)
      }
      return nothing
    case 'wake': {
      const id = pick(clients.added, step.which)
      if (id === undefined) return nothing
      const rests = before.rest.get('callback-failed')?.has(id)
      const args = [id, '', 'room', step.group, 0, '', 0, step.shrink ? '1' : '0', 'deliveries', 0]
      const reply = await redis.moveJob(keys.rest('callback-failed'), keys.room('callbacks:http'), ...args)
      assert.equal(reply, rests ? 'moved' : exists(id) ? 'absent' : 'unknown')
      return rests ? () => new Map([[id, `pending callbacks:http ${step.group}`]]) : nothing
    }
  }
}

async function settleRaw(q: TestQueue, { id, token, room: name }: Held, place: Place): Promise<string> {
  const claim = { job: { id }, token } as Parameters<TestQueue['settle']>[1]
  return q.settle(q.room({ name }), claim, place, { attempts: 1 })
}

async function unchanged(q: TestQueue, action: () => Promise<void>): Promise<void> {
  const before = await q.contents()
  await action()
  assert.deepEqual(await q.contents(), before)
}

/** Everybody finishes: whatever there is can be claimed and settled, and nothing is left. */
async function drain(q: TestQueue): Promise<void> {
  for (const room of ['downloads', 'callbacks:http', 'deletions:files']) {
    for (const group of GROUPS) await q.queue.adjust(room, group, {})
  }
  for (let round = 0; round < 200; round++) {
    await q.travel(50_000)
    let claimed = 0
    for (const name of ['downloads', 'callbacks:http', 'deletions:files']) {
      const room = q.room({ name, groupLimit: name === 'downloads' ? 0 : 2, leaseMs: LEASE_MS })
      const claims = await q.claim(room, 100)
      claimed += claims.length
      for (const claim of claims) await q.settle(room, claim, { kind: 'gone' })
    }
    if (claimed === 0) break
  }
  const { rooms, rest, requests, states } = await q.check()
  const resting = [...rest.values()].flatMap((ids) => [...ids.keys()])
  assert.deepEqual(
    [...new Set([...requests.keys(), ...states.keys()])].sort(),
    resting.sort(),
    'only what rests is left',
  )
  for (const room of rooms.values()) assert.equal(room.groups.size, 0)
}

// MODEL_RUNS=2000 goes on for minutes; MODEL_SEED repeats what a failure names.
describe('the books of the queue', () => {
  const { server } = queueSuite()

  it('agree after whatever its clients do', async () => {
    let steps = 0
    const property = fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), async (list) => {
      await using q = openQueue(server())
      await q.redis.flushall()
      const clients = newClients()
      let before = await q.check()
      for (const step of list) {
        steps++
        const verdict = await run(q, clients, step, before)
        const after = await q.check({ since: before })
        const expected = placesOf(before)
        for (const [id, place] of verdict(after)) {
          if (place === undefined) expected.delete(id)
          else expected.set(id, place)
        }
        assert.deepEqual(
          new Map([...placesOf(after)].sort()),
          new Map([...expected].sort()),
          'every job where it must be',
        )
        before = after
      }
      await drain(q)
    })
    const { MODEL_RUNS = '80', MODEL_SEED } = process.env
    const numRuns = Number(MODEL_RUNS)
    const seed = MODEL_SEED === undefined ? {} : { seed: Number(MODEL_SEED) }
    await fc.assert(property, { numRuns, ...seed, interruptAfterTimeLimit: numRuns * 500 })
    assert.ok(steps > numRuns * 20, `only ${steps} steps`)
  }).timeout(Number(process.env.MODEL_RUNS ?? 80) * 1000)
})
