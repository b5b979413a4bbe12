import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Place } from '../../src/jobs/places.ts'
import { packRequest } from '../../src/jobs/record.ts'
import type { ClaimReply, ClaimRow } from '../../src/queue/scripts.ts'
import { openQueue, queueSuite, request, type Snapshot, type TestQueue } from '../support/queue.ts'

const LEASE_MS = 10_000
const GROUPS = ['cats', 'a : b\n{c}']
const WORKERS = ['worker-0', 'worker-1', 'worker-2']

const group = fc.constantFrom(...GROUPS)
const worker = fc.constantFrom(...WORKERS)
/** Picks one of what there is at that moment. */
const which = fc.nat(1000)
const limit = fc.integer({ min: 1, max: 4 })
const delayMs = fc.constantFrom(0, 0, 0, 5000, 20_000)

const place: fc.Arbitrary<Place> = fc.oneof(
  fc.record({ kind: fc.constant('again' as const), delayMs, holdMs: fc.constantFrom(0, 0, 8000, 30_000) }),
  fc.record({ kind: fc.constant('back' as const) }),
  fc.record({
    kind: fc.constant('rest' as const),
    reason: fc.constantFrom('done' as const, 'callback-failed' as const),
  }),
  fc.record({ kind: fc.constant('gone' as const) }),
  fc.record({
    kind: fc.constant('room' as const),
    room: fc.constantFrom('callbacks:http', 'deletions:files'),
    group,
    delayMs,
    shrink: fc.boolean(),
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
    arbitrary: fc.record({ do: fc.constant('travel' as const), ms: fc.constantFrom(1, 3000, 11_000, 40_000) }),
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

/** The books before the step, and what everybody did until then. */
async function run(q: TestQueue, clients: Clients, step: Step, before: Snapshot): Promise<void> {
  const { redis, keys } = q
  const holder = ({ id, room }: Held) => before.rooms.get(room)?.claims.get(id)?.token
  const exists = (id: string) => before.requests.has(id) || before.states.has(id)

  switch (step.do) {
    case 'add': {
      const id = `job-${String(clients.added.length).padStart(10, '0')}`
      const text = packRequest(request({ aggrId: step.group }))
      const brings = step.room === 'downloads' ? step.limit : 0
      const reply = await redis.addJob(keys.room(step.room), id, text, step.group, brings, '', step.delayMs)
      assert.equal(reply, 1)
      clients.added.push(id)
      return
    }
    case 'add again': {
      const id = pick(clients.added, step.which)
      if (id === undefined || !before.requests.has(id)) return
      await unchanged(q, async () => {
        assert.equal(await redis.addJob(keys.room('downloads'), id, '{}', step.group, 1, '', 0), 0)
      })
      return
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
      return
    }
    case 'claim again': {
      const last = clients.lastCall.get(`${step.worker} ${step.room}`)
      if (!last || last.reply.length === 3) return
      // a worker sends a call again as long as it was not answered, which is never longer than this
      const call = before.rooms.get(step.room)?.calls.get(step.worker)
      if (call === undefined) return
      await unchanged(q, async () => {
        const [, , , ...again] = await redis.claimJobs(keys.room(step.room), ...last.args)
        const [, , , ...first] = last.reply
        const still = first.filter(([id, token]) => holder({ id, token, room: step.room }) === token)
        assert.deepEqual(
          again.map(([id, token, group]) => [id, token, group]),
          still.map(([id, token, group]) => [id, token, group]),
        )
      })
      return
    }
    case 'settle': {
      const claim = pick(clients.held, step.which)
      if (!claim) return
      clients.held.splice(clients.held.indexOf(claim), 1)
      const expected = holder(claim) === claim.token ? 'settled' : exists(claim.id) ? 'lost' : 'gone'
      const settle = async () => {
        const reply = await settleRaw(q, claim, step.place)
        assert.equal(reply, expected)
        clients.ended.push({ claim, place: step.place, reply })
      }
      await (expected === 'settled' ? settle() : unchanged(q, settle))
      return
    }
    case 'settle again': {
      const last = pick(clients.ended, step.which)
      if (!last) return
      await unchanged(q, async () => {
        const reply = await settleRaw(q, last.claim, last.place)
        // somebody may have settled it since: then it is not ours any more
        if (last.reply === 'settled') assert.ok(['settled', 'lost', 'gone'].includes(reply))
        else assert.notEqual(reply, 'settled')
        const mine = before.states.get(last.claim.id)?.get('settled') === last.claim.token
        assert.equal(reply === 'settled', mine && last.reply === 'settled')
      })
      return
    }
    case 'extend': {
      const room = pick(clients.held, step.which[0] ?? 0)?.room
      if (room === undefined) return
      const claims = step.which.flatMap(
        (n) =>
          pick(
            clients.held.filter((claim) => claim.room === room),
            n,
          ) ?? [],
      )
      const pairs = claims.flatMap(({ id, token }) => [id, token])
      const lost =
        pairs.length === 0 ? [] : await redis.extendLeases(keys.room(room), LEASE_MS, 'worker-0', 0, ...pairs)
      const expected = claims.filter((claim) => holder(claim) !== claim.token).map(({ id }) => id)
      assert.deepEqual(lost, expected)
      return
    }
    case 'travel':
      return q.travel(step.ms)
    case 'adjust':
      return q.queue.adjust(step.room, step.group, step.settings)
    case 'wake': {
      const id = pick(clients.added, step.which)
      if (id === undefined) return
      const rests = before.rest.get('callback-failed')?.has(id)
      const args = [id, step.group, 0, '', 0, step.shrink ? '1' : '0', 'deliveries', 0]
      const reply = await redis.wakeJob(keys.room('callbacks:http'), keys.rest('callback-failed'), ...args)
      assert.equal(reply, rests ? 'woken' : exists(id) ? 'absent' : 'unknown')
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
        await run(q, clients, step, before)
        before = await q.check({ since: before })
      }
      await drain(q)
    })
    await fc.assert(property, { numRuns: 50, endOnFailure: false, interruptAfterTimeLimit: 15_000 })
    assert.ok(steps > 300, `only ${steps} steps`)
  }).timeout(60_000)
})
