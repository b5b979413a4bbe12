import assert from 'node:assert/strict'
import fc from 'fast-check'
import { checkQueue, type Finding } from '../../src/queue/check/check.ts'
import type { Claim } from '../../src/queue/room.ts'
import { freezeClock } from '../support/frozen-clock.ts'
import { never, openQueue, queueSuite, until } from '../support/queue.ts'
import { startWorker } from '../support/worker.ts'

/** The most that began in any window of time, over what the rate and the burst let begin in it. */
function excess(starts: number[], rate: number, burst: number): number {
  let most = -Infinity
  for (let i = 0; i < starts.length; i++) {
    for (let k = i; k < starts.length; k++) {
      const seconds = ((starts[k] ?? 0) - (starts[i] ?? 0)) / 1000
      most = Math.max(most, k - i + 1 - (burst + rate * seconds))
    }
  }
  return most
}

describe('the rate of a group', () => {
  const { server, test } = queueSuite()

  it('is never exceeded in any window of time, and is used up to the last start', async () => {
    const plan = fc.record({
      rate: fc.constantFrom(0.3, 1, 7, 50, 1500),
      burst: fc.integer({ min: 1, max: 5 }),
      steps: fc.array(fc.record({ worker: fc.nat(2), ms: fc.nat(900), count: fc.integer({ min: 1, max: 9 }) }), {
        minLength: 5,
        maxLength: 25,
      }),
    })
    const property = fc.asyncProperty(plan, async ({ rate, burst, steps }) => {
      await using q = openQueue(server())
      const clock = await freezeClock(q.redis)
      const workers = [q.room(), q.room(), q.room()]
      for (let i = 0; i < 60; i++) await q.add({ aggrRate: rate, aggrBurst: burst, aggrLimit: 2 + (i % 3) * 1000 })
      await q.queue.adjust('downloads', 'group', { limit: 1000 })
      const starts: number[] = []
      let tokens = burst
      for (const { worker, ms, count } of steps) {
        await clock.advance(ms)
        tokens = Math.min(burst, tokens + (ms * rate) / 1000)
        const room = workers[worker] ?? q.room()
        const { claims, idleMs } = await room.claim(count, never)
        for (const claim of claims) {
          starts.push(clock.now)
          await q.settle(room, claim, { kind: 'gone' })
        }
        const couldNow = Math.floor(tokens + rate * 1e-6) // a moment is good for a microsecond
        const expected = Math.min(count, couldNow, 60 - starts.length + claims.length)
        assert.equal(claims.length, expected, `${claims.length} began, ${tokens} could`)
        tokens -= claims.length
        if (claims.length === count || starts.length === 60) continue
        const next = Math.ceil(((1 - tokens) / rate) * 1000 - 0.002)
        assert.ok(Math.abs(idleMs - next) <= 1, `a worker sleeps ${idleMs} ms, and the next may begin in ${next}`)
      }
      assert.ok(excess(starts, rate, burst) < 0.01, `${excess(starts, rate, burst)} too many`)
      await q.check()
    })
    await fc.assert(property, { numRuns: 40 })
  }).timeout(60_000)

  it('counts also the further requests of a job that runs', async () => {
    const steps = fc.array(fc.record({ ms: fc.nat(900), count: fc.nat(3), turns: fc.nat(3) }), { minLength: 5 })
    const property = fc.asyncProperty(steps, async (steps) => {
      await using q = openQueue(server())
      const clock = await freezeClock(q.redis)
      const room = q.room()
      for (let i = 0; i < 30; i++) await q.add({ aggrRate: 4, aggrBurst: 2, aggrLimit: 1000 })
      const starts: number[] = []
      const running: Claim[] = []
      for (const { ms, count, turns } of steps) {
        await clock.advance(ms)
        const { claims } = await room.claim(count, never)
        starts.push(...claims.map(() => clock.now))
        running.push(...claims)
        for (const claim of running.slice(0, turns)) starts.push(clock.now + (await room.turn(claim, never)))
      }
      starts.sort((a, b) => a - b)
      assert.ok(excess(starts, 4, 2) < 0.01, `${excess(starts, 4, 2)} too many`)
      await q.check()
    })
    await fc.assert(property, { numRuns: 20 })
  }).timeout(60_000)

  test('holds over several workers, and wakes them in time', async (q) => {
    const [rate, burst, jobs] = [60, 4, 70]
    for (let i = 0; i < jobs; i++) await q.add({ aggrRate: rate, aggrBurst: burst })
    const starts: number[] = []
    const run = async () => {
      starts.push(performance.now())
      return { kind: 'deleted' } as const
    }
    const begin = performance.now()
    {
      await using _a = startWorker(q, { run })
      await using _b = startWorker(q, { run })
      await using _c = startWorker(q, { run })
      await until('all began', () => starts.length === jobs)
    }
    const least = ((jobs - burst) / rate) * 1000
    const took = Math.max(...starts) - begin
    assert.ok(took >= least - 5 && took < least * 1.4 + 200, `${jobs} jobs took ${took} ms instead of ${least}`)
  })

  test('outlives the group: a new one gets no second burst', async (q) => {
    const room = q.room()
    for (const expected of [1, 0]) {
      await q.add({ aggrRate: 0.01, aggrBurst: 1 })
      const [claim] = await q.claim(room)
      assert.equal(claim ? 1 : 0, expected)
      if (claim) await q.settle(room, claim, { kind: 'gone' })
    }
    await q.travel(100_000)
    assert.equal((await q.claim(room)).length, 1)
  })

  test('is an operator’s to set, and wins over what jobs brought', async (q) => {
    for (let i = 0; i < 5; i++) await q.add({ aggrRate: 0.01 })
    const room = q.room()
    await q.queue.adjust('downloads', 'group', { rate: 1, burst: 3 })
    assert.equal((await q.claim(room, 5)).length, 3)
    await q.queue.adjust('downloads', 'group', {})
    assert.equal((await q.claim(room, 5)).length, 0)
    await q.check()
  })

  for (const rate of [5e-324, 1e-20, 0.000001, 1_000_000, 1.7e308]) {
    test(`may be ${rate} a second`, async (q) => {
      for (let i = 0; i < 5; i++) await q.add()
      const room = q.room()
      await q.queue.adjust('downloads', 'group', { rate, burst: 2 })
      for (let calls = 0; calls < 3; calls++) await room.claim(5, never)
      await q.queue.adjust('downloads', 'group', {})
      await q.claim(room, 5)
      assert.deepEqual(await q.claim(room, 5), [])
    })
  }

  test('counts as used up after a failover, which is nothing to be mended', async (q) => {
    const [room, other] = [q.room({ leaseMs: 1000 }), q.room({ leaseMs: 1000 })]
    await Promise.all([room, other].map((one) => one.claim(0, never)))
    for (let i = 0; i < 3; i++) await q.add({ aggrRate: 0.1, aggrBurst: 3 })
    await q.redis.hset(q.keys.room('downloads'), 'server', 'another')
    assert.equal((await q.claim(room, 3)).length, 0, 'the room is closed')
    const findings: Finding[] = []
    await checkQueue(q.redis, q.keys, { mend: false, onFinding: (finding) => findings.push(finding) })
    assert.deepEqual(findings, [])
    await until('the room is open, and the group stands where it belongs', async () => {
      await Promise.all([room, other].map((one) => one.claim(0, never)))
      return (await q.redis.hexists(q.keys.room('downloads'), 'opens')) === 0
    })
    assert.equal((await q.claim(room, 3)).length, 0)
  })

  test('lets other groups go on', async (q) => {
    for (let i = 0; i < 3; i++) await q.add({ aggrRate: 0.1 })
    for (let i = 0; i < 3; i++) await q.add({ aggrId: 'another' })
    const claims = await q.claim(q.room(), 10)
    assert.deepEqual(claims.map(({ group }) => group).sort(), ['another', 'another', 'another', 'group'])
  })
})
