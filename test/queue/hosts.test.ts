import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { Verdict } from '../../src/jobs/places.ts'
import { aggregationsOf } from '../../src/queue/aggregations.ts'
import { booksOf } from '../../src/queue/books.ts'
import { checkQueue } from '../../src/queue/check/check.ts'
import { jobsOf } from '../../src/queue/jobs.ts'
import { type Cursor, listingOf } from '../../src/queue/listing.ts'
import type { Claim, Room } from '../../src/queue/room.ts'
import { freezeClock } from '../support/frozen-clock.ts'
import { never, openQueue, queueSuite, type TestQueue } from '../support/queue.ts'
import { sleepersOf } from './model/sleepers.ts'

const SLOW = 'slow.example'
const GOOD = 'good.example'
type Says = Verdict['says']

const addTo = (q: TestQueue, host: string, aggrId = 'group', aggrLimit = 1000) =>
  q.add({ url: `http://${host}/file`, aggrId, aggrLimit })
const hosts = (claims: Claim[]) => claims.map(({ job }) => new URL(job.request?.url ?? '').host).sort()

/** Ends an attempt. */
function end(
  room: Room,
  claim: Claim,
  says: Says,
  holdMs = 0,
  kind: 'again' | 'gone' = says === 'ok' ? 'gone' : 'again',
) {
  const host = new URL(claim.job.request?.url ?? '').host
  const place = kind === 'gone' ? { kind } : { kind, delayMs: 0, holdMs }
  return room.settle(claim, { place: { ...place, holdMs }, patch: {}, verdict: { host, says } }, never)
}

/** Its circuit breaker opens. */
async function takeDown(q: TestQueue, room: Room, host = SLOW): Promise<void> {
  await addTo(q, host, 'of the outage')
  for (let i = 0; i < 10; i++) {
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await end(room, claim, 'down', 0, i === 9 ? 'gone' : 'again')
  }
  assert.deepEqual((await booksOf(q.redis, q.keys)).hosts, { watched: 1, open: 1 })
}

describe('a host that asks for time', () => {
  const { server, test } = queueSuite()

  test('is held in this group, while other hosts of it go on, and other groups too', async (q) => {
    const room = q.room()
    await addTo(q, SLOW)
    const [first] = await q.claim(room)
    assert.ok(first)
    await end(room, first, '', 5000)
    for (const host of [SLOW, GOOD, SLOW, GOOD]) await addTo(q, host)
    await addTo(q, SLOW, 'another')
    const claims = await q.claim(room, 10)
    assert.deepEqual(hosts(claims), [GOOD, GOOD, SLOW])
    assert.equal(claims.find(({ group }) => group === 'another')?.job.request?.url, `http://${SLOW}/file`)
    await q.check()
    const { idleMs } = await room.claim(10, never)
    assert.ok(idleMs > 4000 && idleMs <= 5000, `${idleMs}`)
    assert.deepEqual(await q.queue.groups('downloads'), [{ group: 'group', pending: 3 }])
    await q.travel(5000)
    assert.deepEqual(hosts(await q.claim(room, 10)), [SLOW, SLOW, SLOW])
  })

  test('is forgotten for each group by itself, however long others are held', async (q) => {
    const room = q.room()
    for (let i = 0; i < 50; i++) {
      await addTo(q, SLOW, `batch ${i}`)
      const [claim] = await q.claim(room)
      assert.ok(claim, `${i}`)
      await end(room, claim, '', 5000, 'gone')
      await q.travel(2000)
    }
    const keys = await q.redis.keys('*')
    const sizes = keys.filter((key) => key.includes(`:hold:`) || key.includes(`:host:`))
    assert.ok(sizes.length <= 5, `${sizes}`)
    for (const key of sizes) if (key.includes(':host:')) assert.ok((await q.redis.hlen(key)) <= 4)
  })

  test('hides no job: those that wait for it are found, listed, counted, cancelled', async (q) => {
    const room = q.room()
    await addTo(q, SLOW)
    const [first] = await q.claim(room)
    assert.ok(first)
    await end(room, first, '', 60_000, 'gone')
    const slow = [await addTo(q, SLOW), await addTo(q, SLOW), await addTo(q, SLOW)]
    const good = await addTo(q, GOOD)
    assert.deepEqual(hosts(await q.claim(room, 5)), [GOOD])
    await addTo(q, GOOD)

    const jobs = jobsOf(q.redis, q.keys, q.queue)
    const sighting = await jobs.look(slow[0] ?? '')
    assert.deepEqual(sighting?.where, { ...sighting?.where, kind: 'pending', group: 'group', host: SLOW })

    const aggregations = aggregationsOf(q.redis, q.keys, jobs)
    const [group] = await aggregations.look(['group'])
    assert.deepEqual([group?.running, group?.pending, group?.waitingForHosts, group?.limit], [1, 4, 3, 1000])

    const listing = listingOf(q.redis, q.keys)
    for (const aggrId of ['group', undefined]) {
      const found: string[] = []
      let after: Cursor | undefined
      do {
        const page = await listing.pending('downloads', aggrId, 2, after)
        found.push(...page.listed.map(({ job }) => new URL(job.request?.url ?? '').host))
        after = page.next
      } while (after)
      assert.deepEqual(found, [GOOD, SLOW, SLOW, SLOW])
    }
    assert.deepEqual(
      (await listing.running('downloads', 'group', 10)).listed.map(({ job }) => job.id),
      [good],
    )

    assert.equal(await jobs.cancel(slow[0] ?? ''), 'cancelled')
    await q.check()
    assert.deepEqual(await aggregations.empty('group', false, never), { cancelled: 3, running: 1, remaining: 0 })
    await q.check()
  })

  test('shares the places of its group', async (q) => {
    const room = q.room()
    await addTo(q, SLOW, 'group', 2)
    const [first] = await q.claim(room)
    assert.ok(first)
    await end(room, first, '', 5000)
    for (let i = 0; i < 3; i++) await addTo(q, SLOW)
    for (let i = 0; i < 3; i++) await addTo(q, GOOD)
    const two = await q.claim(room, 10)
    assert.deepEqual(hosts(two), [GOOD, GOOD])
    await q.travel(5000)
    assert.deepEqual(await q.claim(room, 10), [], 'the group is full')
    await q.check()
    for (const claim of two) await end(room, claim, 'ok')
    assert.equal((await q.claim(room, 10)).length, 2)
    await q.queue.adjust('downloads', 'group', { limit: 9 })
    assert.equal((await q.claim(room, 10)).length, 3)
  })

  test('is served in turn with the rest of its group', async (q) => {
    const room = q.room()
    await addTo(q, SLOW, 'group', 1)
    const [first] = await q.claim(room)
    assert.ok(first)
    await end(room, first, '', 1000)
    for (let i = 0; i < 6; i++) {
      await q.travel(1) // jobs of one millisecond are in no known order
      await addTo(q, i % 2 ? SLOW : GOOD)
    }
    const [good] = await q.claim(room, 10)
    assert.ok(good)
    await q.travel(1000)
    await q.claim(room, 10)
    await end(room, good, 'ok')
    const served: string[] = []
    for (let i = 0; i < 4; i++) {
      const [claim] = await q.claim(room, 10)
      assert.ok(claim)
      served.push(...hosts([claim]))
      await end(room, claim, 'ok')
    }
    assert.deepEqual(served.sort(), [GOOD, GOOD, SLOW, SLOW])
  })

  test('gets its jobs back that a dead worker had', async (q) => {
    const room = q.room({ leaseMs: 2000 })
    await addTo(q, SLOW)
    await addTo(q, SLOW)
    const [one] = await q.claim(room)
    assert.ok(one)
    await end(room, one, '', 1000)
    await q.travel(1000)
    assert.equal((await q.claim(room, 5)).length, 2)
    await q.travel(2001)
    const again = await q.claim(room, 5)
    assert.deepEqual(
      again.map(({ job }) => job.stalls),
      [1, 1],
    )
    await q.check()
  })

  test('does not make a claim slower for the jobs behind ten thousand of its own', async (q) => {
    const room = q.room()
    await addTo(q, SLOW)
    const [first] = await q.claim(room)
    assert.ok(first)
    await end(room, first, '', 60_000)
    for (let i = 0; i < 2000; i += 200) await Promise.all(Array.from({ length: 200 }, () => addTo(q, SLOW)))
    await addTo(q, GOOD)
    await addTo(q, GOOD, 'another')
    const served: string[] = []
    let calls = 0
    for (let idleMs = 0; idleMs === 0; calls++) {
      const reply = await room.claim(2, never)
      idleMs = reply.claims.length === 2 ? 0 : reply.idleMs
      served.push(...reply.claims.map(({ group }) => group))
    }
    assert.deepEqual(served, ['another', 'group'], 'another group waits for none of it')
    assert.ok(calls < 12, `${calls} calls`)
    await q.check()
  })

  it('loses no job and keeps every limit, whatever happens to it', async () => {
    const names = [SLOW, GOOD, 'third.example:8080']
    const groups = ['cats', 'dogs', 'birds']
    const to = <K extends string>(what: K) => ({ do: fc.constant(what) })
    const step = fc.oneof(
      fc.record({
        ...to('add'),
        host: fc.constantFrom(...names),
        group: fc.constantFrom(...groups),
        count: fc.integer({ min: 1, max: 4 }),
        priority: fc.constantFrom(0, 0, 3),
        laterMs: fc.constantFrom(0, 0, 600, 20_000),
        aggrProxy: fc.constantFrom(undefined, undefined, 'http://proxy.example'),
        aggrRate: fc.constantFrom(undefined, undefined, 0.4, 8),
      }),
      fc.record({ ...to('claim'), worker: fc.nat(2), count: fc.nat(6) }),
      fc.record({
        ...to('settle'),
        which: fc.nat(100),
        count: fc.integer({ min: 1, max: 12 }),
        says: fc.constantFrom<Says>('ok', 'throttled', 'down', 'down', ''),
        holdMs: fc.constantFrom(0, 0, 2000),
        kind: fc.constantFrom('again' as const, 'gone' as const),
      }),
      fc.record({ ...to('leave'), worker: fc.nat(2) }),
      fc.record({ ...to('turn'), which: fc.nat(100) }),
      fc.record({ ...to('cancel'), which: fc.nat(100), count: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ ...to('crash'), worker: fc.nat(2) }),
      fc.record({ ...to('limit'), hostLimit: fc.nat(3) }),
      fc.record({
        ...to('adjust'),
        group: fc.constantFrom(...groups),
        limit: fc.integer({ min: 1, max: 3 }),
        paused: fc.boolean(),
        rate: fc.constantFrom(undefined, 0.3, 5),
      }),
      fc.record({ ...to('wait'), ms: fc.constantFrom(1, 90, 700, 5000, 11_000, 31_000) }),
    )
    const steps = fc.array(step, { maxLength: 100, size: 'max' })
    const says = fc.constantFrom<Says>('ok', 'ok', 'throttled', 'down', '')
    const jumpMs = fc.constantFrom(0, 0, 3_600_000, -3_600_000)
    const property = fc.asyncProperty(steps, says, jumpMs, async (steps, says, jumpMs) => {
      await using q = openQueue(server())
      await q.redis.flushall()
      const clock = await freezeClock(q.redis)
      let hostLimit = 0
      const start = () => ({ room: q.room({ leaseMs: 10_000, hostLimit }), held: [] as Claim[] })
      const workers = [start(), start(), start()]
      const worker = (i: number) => workers[i] ?? start()
      const held = () => workers.flatMap(({ room, held }) => held.map((claim) => ({ room, held, claim })))
      const jobs = jobsOf(q.redis, q.keys, q.queue)
      const added: string[] = []
      const sleepers = sleepersOf()
      const claim = async (i: number, count: number) => {
        const { room, held } = worker(i)
        const { claims, idleMs } = await room.claim(count, never)
        held.push(...claims)
        await clock.rung() // what it rang itself was before it fell asleep
        if (claims.length === count) sleepers.wake('downloads', `${i}`)
        else sleepers.sleep('downloads', `${i}`, idleMs === -1 ? Infinity : clock.now + idleMs)
      }
      let before = await q.check({ now: clock.now })
      for (const step of steps) {
        if (step.do === 'add') {
          const { do: _, host, group, count, laterMs, ...terms } = step
          const notBeforeMs = laterMs && clock.now + laterMs
          const job = { url: `http://${host}/file`, aggrId: group, aggrLimit: 3, notBeforeMs, ...terms }
          for (let i = 0; i < count; i++) added.push(await q.add(job))
        } else if (step.do === 'claim') await claim(step.worker, step.count)
        else if (step.do === 'cancel') {
          for (let i = 0; i < step.count && added.length > 0; i++) {
            await jobs.cancel(added[(step.which + i) % added.length] ?? '')
          }
        } else if (step.do === 'turn') {
          const one = held()[step.which % Math.max(1, held().length)]
          if (one) await one.room.turn(one.claim, never)
        } else if (step.do === 'settle') {
          for (let i = 0; i < step.count; i++) {
            const all = held()
            const one = all[step.which % Math.max(1, all.length)]
            if (!one) break
            one.held.splice(one.held.indexOf(one.claim), 1)
            await end(one.room, one.claim, step.says, step.holdMs, step.kind)
          }
        } else if (step.do === 'leave') await worker(step.worker).room.claim(0, never, worker(step.worker).held)
        else if (step.do === 'crash') workers[step.worker] = start()
        else if (step.do === 'limit') {
          hostLimit = step.hostLimit
          for (const one of workers) one.room = q.room({ leaseMs: 10_000, hostLimit })
        } else if (step.do === 'adjust') {
          const { limit, paused, rate } = step
          await q.queue.adjust('downloads', step.group, { limit, paused, ...(rate && { rate }) })
        } else await clock.advance(step.ms)
        before = await q.check({ since: before, now: clock.now })
        if ((await clock.rung()).length > 0) sleepers.ring('downloads')
        const downloads = before.rooms.get('downloads')
        const moments = [...(downloads?.due.values() ?? []), ...(downloads?.leases.values() ?? [])]
        sleepers.check('downloads', clock.now, () => (downloads?.line.size ? clock.now : Math.min(...moments)))
      }
      for (const group of groups) await q.queue.adjust('downloads', group, {})
      await clock.advance(jumpMs)
      await clock.advance(10_001)
      const last = start()
      for (let i = 0; ; i++) {
        const { claims, idleMs } = await last.room.claim(100, never)
        for (const claim of claims) await end(last.room, claim, says, 0, 'gone')
        const { rooms } = await booksOf(q.redis, q.keys)
        if (rooms.every(({ pending, claimed }) => pending + claimed === 0)) break
        assert.ok(i < 2000, 'jobs are left over')
        if (claims.length > 0) continue
        assert.ok(idleMs >= 0, 'jobs are left over, and nobody would come back for them')
        await clock.advance(idleMs)
      }
      await q.check({ now: clock.now })
    })
    await fc.assert(property, { numRuns: Number(process.env.MODEL_RUNS ?? 40) })
  }).timeout(300_000)
})

describe('a host that is down', () => {
  const { test } = queueSuite()

  test('is left alone after ten failures in a row; one job tries, and a success opens it again', async (q) => {
    const room = q.room()
    await takeDown(q, room)
    for (let i = 0; i < 5; i++) await addTo(q, SLOW)
    await addTo(q, SLOW, 'another')
    await addTo(q, GOOD)
    assert.deepEqual(hosts(await q.claim(room, 10)), [GOOD])
    await q.check()
    await q.travel(5000)
    const probes = await q.claim(room, 10)
    assert.deepEqual(hosts(probes), [SLOW])
    assert.deepEqual(await q.claim(room, 10), [])
    const [probe] = probes
    assert.ok(probe)
    await end(room, probe, 'ok')
    assert.equal((await booksOf(q.redis, q.keys)).hosts.open, 0)
    assert.ok((await q.claim(room, 10)).length >= 1, 'slowly at first')
    assert.deepEqual(q.logged.map(({ msg, host }) => [msg, host]).slice(-2), [
      ['a host is down: its jobs wait until it answers again', SLOW],
      ['a host that was down answers again', SLOW],
    ])
  })

  test('is tried at longer and longer intervals', async (q) => {
    const room = q.room()
    await takeDown(q, room)
    await addTo(q, SLOW)
    for (const ms of [5000, 10_000, 20_000, 40_000]) {
      const { claims, idleMs } = await room.claim(5, never)
      assert.ok(
        claims.length === 0 && idleMs > ms - 2000 && idleMs <= ms,
        `${claims.length} jobs, ${idleMs} of ${ms} ms`,
      )
      await q.travel(ms)
      const [probe] = await q.claim(room, 5)
      assert.ok(probe)
      await end(room, probe, 'down')
    }
  })

  test('is tried by another job when the first is lost with its worker', async (q) => {
    const room = q.room({ leaseMs: 3000 })
    await takeDown(q, room)
    for (let i = 0; i < 3; i++) await addTo(q, SLOW)
    await q.travel(5000)
    assert.equal((await q.claim(room, 5)).length, 1)
    await q.travel(2000)
    assert.equal((await q.claim(room, 5)).length, 0)
    await q.travel(1500)
    assert.equal((await q.claim(room, 5)).length, 1)
    await q.check()
  })

  test('is tried by another job beside one that takes long', async (q) => {
    const room = q.room({ leaseMs: 600_000 })
    await takeDown(q, room)
    for (let i = 0; i < 3; i++) await addTo(q, SLOW)
    await q.travel(5000)
    const [trickle] = await q.claim(room, 5)
    assert.ok(trickle)
    const { claims, idleMs } = await room.claim(5, never)
    assert.ok(claims.length === 0 && idleMs > 8000 && idleMs <= 10_000, `${idleMs}`)
    await q.travel(10_000)
    const [second, ...more] = await q.claim(room, 5)
    assert.ok(second)
    assert.equal(more.length, 0)
    await end(room, trickle, 'down')
    assert.equal((await q.claim(room, 5)).length, 0, 'it is known no better')
    await end(room, second, 'ok')
    assert.equal((await q.claim(room, 5)).length, 1)
  })

  test('keeps nobody waiting for more than an hour: then its jobs try one after the other', async (q) => {
    const room = q.room()
    await takeDown(q, room)
    for (let i = 0; i < 20; i++) await addTo(q, SLOW)
    await q.claim(room, 5)
    let tried = 0
    for (let minutes = 0; minutes < 70; minutes++) {
      await q.travel(60_000)
      for (let more = true; more; ) {
        const claims = await q.claim(room, 5)
        assert.ok(claims.length <= 1, 'one at a time')
        for (const claim of claims) await end(room, claim, 'down', 0, 'gone')
        tried += claims.length
        more = claims.length > 0
      }
      if (minutes < 59) assert.ok(tried < 19, `${tried} after ${minutes} minutes`)
      assert.equal((await booksOf(q.redis, q.keys)).hosts.open, 1, `after ${minutes} minutes`)
    }
    assert.equal(tried, 20)
  })

  test('is not one that has bad URLs among good ones', async (q) => {
    const room = q.room()
    for (let i = 0; i < 40; i++) {
      await addTo(q, SLOW)
      const [claim] = await q.claim(room)
      assert.ok(claim, `after ${i}`)
      await end(room, claim, i % 8 === 7 ? 'ok' : 'down', 0, 'gone')
    }
    assert.deepEqual((await booksOf(q.redis, q.keys)).hosts, { watched: 1, open: 0 })
  })

  test('keeps no job waiting that goes through a proxy, unless it asked that to wait', async (q) => {
    const room = q.room({ hostLimit: 1 })
    await takeDown(q, room)
    const add = () => q.add({ url: `http://${SLOW}/file`, aggrId: 'round', aggrProxy: 'http://proxy.example' })
    for (let i = 0; i < 3; i++) await add()
    const claims = await q.claim(room, 5)
    assert.equal(claims.length, 3)
    for (const claim of claims) await end(room, claim, '', 2000, 'gone')
    for (let i = 0; i < 3; i++) await add()
    await addTo(q, SLOW)
    assert.deepEqual(await q.claim(room, 5), [])
    await q.check()
    await q.travel(2000)
    assert.deepEqual(
      (await q.claim(room, 5)).map(({ group }) => group),
      ['round', 'round', 'round'],
    )
  })

  test('is forgotten an hour after the last trouble', async (q) => {
    const room = q.room()
    await takeDown(q, room)
    await q.travel(3_600_001)
    await addTo(q, SLOW)
    const [claim] = await q.claim(room)
    assert.equal(claim?.watched, '')
    assert.deepEqual((await booksOf(q.redis, q.keys)).hosts, { watched: 0, open: 0 })
  })
})

describe('a lane whose entry was lost', () => {
  const { server } = queueSuite()

  it('keeps no other job waiting, and is mended', async () => {
    await using q = openQueue(server())
    const room = q.room({ hostLimit: 1 })
    for (let i = 0; i < 3; i++) await addTo(q, SLOW)
    const [first] = await q.claim(room, 5)
    assert.ok(first)
    await q.redis.del(`${q.keys.room('downloads')}:lanes:group`)
    await addTo(q, GOOD)
    assert.deepEqual(hosts(await q.claim(room, 5)), [GOOD])
    await checkQueue(q.redis, q.keys, { mend: true, onFinding: () => {} })
    await q.check()
    await end(room, first, 'ok')
    assert.deepEqual(hosts(await q.claim(room, 5)), [SLOW])
  })
})

describe('a host with a limit', () => {
  const { server, test } = queueSuite()

  test('is asked by so many jobs of all groups at once, and no more', async (q) => {
    const room = q.room({ hostLimit: 2 })
    for (let i = 0; i < 3; i++) for (const group of ['a', 'b']) await addTo(q, SLOW, group)
    for (let i = 0; i < 3; i++) await addTo(q, GOOD, 'a')
    const claims = await q.claim(room, 20)
    assert.deepEqual(hosts(claims), [GOOD, GOOD, SLOW, SLOW])
    await q.check()
    const one = claims.find(({ job }) => job.request?.url.includes(SLOW))
    assert.ok(one)
    await end(room, one, 'ok')
    assert.deepEqual(hosts(await q.claim(room, 20)), [SLOW])
  })

  test('gets its place back when a lease is lost, and when the body has come', async (q) => {
    const room = q.room({ hostLimit: 1, leaseMs: 2000 })
    for (let i = 0; i < 3; i++) await addTo(q, SLOW)
    const [first] = await q.claim(room, 5)
    assert.ok(first)
    assert.equal((await room.claim(5, never)).claims.length, 0)
    const second = (await room.claim(5, never, [first])).claims
    assert.equal(second.length, 1)
    await q.travel(2001)
    assert.equal((await q.claim(room, 5)).length, 1)
    await q.check()
  })

  test('has none when the limit is taken back', async (q) => {
    const limited = q.room({ hostLimit: 1 })
    for (let i = 0; i < 5; i++) await addTo(q, SLOW)
    const [first] = await q.claim(limited, 5)
    assert.ok(first)
    const room = q.room()
    await q.claim(room, 5)
    await end(limited, first, 'ok')
    assert.equal((await q.claim(room, 5)).length, 4)
  })

  /**
   * A host with one place that others always want, and a group with one place that is always taken: for how long? And one
   * that will not have its place back before the test is over, which must not stand before it.
   */
  for (const [elsewhereMs, hereMs] of [
    [1000, 700],
    [4000, 330],
    [330, 4000],
  ] as const) {
    it(`gets to a job whose group is never free when it is (${elsewhereMs} and ${hereMs} ms)`, async () => {
      await using q = openQueue(server())
      await q.redis.flushall()
      const clock = await freezeClock(q.redis)
      const room = q.room({ hostLimit: 1, leaseMs: 600_000 })
      const begun = clock.now
      const running: { claim: Claim; endsMs: number }[] = []
      let others = 0
      let startedMs: number | undefined
      for (let i = 0; i < 3; i++) await addTo(q, SLOW, 'others')
      await q.add({ url: `http://${SLOW}/file`, aggrId: 'hopeless', aggrLimit: 1, priority: 1 }) // it comes into a lane
      await addTo(q, 'endless.example', 'hopeless', 1)
      for (let i = 0; i < 3; i++) await addTo(q, GOOD, 'group', 1)
      const id = await addTo(q, SLOW, 'group', 1)
      while (startedMs === undefined || clock.now < startedMs + 30_000) {
        const { claims, idleMs } = await room.claim(10, never)
        for (const claim of claims) {
          const host = new URL(claim.job.request?.url ?? '').host
          const tookMs = claim.group === 'hopeless' ? Infinity : host === SLOW ? hereMs : elsewhereMs
          running.push({ claim, endsMs: clock.now + tookMs })
          if (claim.job.id === id) startedMs = clock.now
          else if (host === SLOW) others++
          if (claim.job.id !== id) await addTo(q, host, claim.group, 1) // there is always more
        }
        const first = running.sort((a, b) => a.endsMs - b.endsMs)[0]
        assert.ok(first)
        const idle = idleMs < 0 || claims.length > 0 ? Infinity : idleMs
        await clock.advance(Math.min(first.endsMs - clock.now, Math.max(1, idle)))
        if (clock.now < first.endsMs) continue
        await end(room, first.claim, 'ok')
        running.shift()
        assert.ok(clock.now - begun < 300_000, 'it waits for ever')
      }
      const mostMs = clock.now - begun
      assert.ok(others * hereMs > 0.85 * mostMs, `the host was busy for ${others * hereMs} of ${mostMs} ms`)
      await q.check({ now: clock.now })
    }).timeout(60_000)
  }
})

describe('a host that is asked too fast', () => {
  const { server, test } = queueSuite()

  test('is asked slowly at first, and says so once', async (q) => {
    const room = q.room()
    for (let i = 0; i < 50; i++) await addTo(q, SLOW)
    const flood = await q.claim(room, 40)
    for (const claim of flood) await end(room, claim, 'throttled', 1000)
    await q.travel(1000)
    const claims = await q.claim(room, 40)
    assert.ok(claims.length >= 1 && claims.length <= 3, `${claims.length} at once`)
    const said = q.logged.filter(({ msg }) => msg === 'a host refuses what is too fast for it: slowing down')
    assert.deepEqual(
      said.map(({ host }) => host),
      [SLOW],
    )
  })

  for (const percent of [1, 3]) {
    it(`goes on when it refuses ${percent} % by chance, whatever the rate`, async () => {
      await using q = openQueue(server())
      const clock = await freezeClock(q.redis)
      const room = q.room()
      const AT_ONCE = 4
      for (let i = 0; i < AT_ONCE; i++) await addTo(q, SLOW)
      const counts = { taken: 0, refused: 0 }
      let dice = 1
      const TICK = 50
      for (let ms = 0; ms < 60_000; ms += TICK) {
        await clock.advance(TICK)
        for (const claim of await q.claim(room, AT_ONCE)) {
          dice = (dice * 48_271) % 2_147_483_647
          const taken = dice % 100 >= percent
          counts[taken ? 'taken' : 'refused']++
          await end(room, claim, taken ? 'ok' : 'throttled', 0, 'again')
        }
      }
      assert.ok(counts.refused > 10, `${counts.refused} refused`)
      const asked = (counts.taken + counts.refused) / (AT_ONCE * (60_000 / TICK))
      assert.ok(asked >= 0.9, `asked ${asked} as often as there was something to ask for`)
    }).timeout(60_000)
  }

  for (const limit of [5, 50]) {
    it(`learns that it takes ${limit} a second`, async () => {
      await using q = openQueue(server())
      const clock = await freezeClock(q.redis)
      const room = q.room()
      let tokens = limit
      const counts = { taken: 0, refused: 0 }
      for (let i = 0; i < limit * 3; i++) await addTo(q, SLOW, `group ${i % 2}`)
      const TICK = 20
      for (let ms = 0; ms < 60_000; ms += TICK) {
        if (ms === 30_000) Object.assign(counts, { taken: 0, refused: 0 })
        tokens = Math.min(limit, tokens + (limit * TICK) / 1000)
        await clock.advance(TICK)
        for (const claim of await q.claim(room, 300)) {
          const taken = tokens >= 1
          if (taken) tokens--
          counts[taken ? 'taken' : 'refused']++
          await end(room, claim, taken ? 'ok' : 'throttled', 0, 'again')
        }
      }
      const goodput = counts.taken / 30 / limit
      const refused = counts.refused / (counts.taken + counts.refused)
      assert.ok(goodput >= 0.9, `${goodput} of what it takes`)
      assert.ok(refused < 0.05, `${refused} refused`)
    }).timeout(60_000)
  }
})
