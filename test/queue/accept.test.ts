import assert from 'node:assert/strict'
import { queueOf } from '../../src/queue/queue.ts'
import { queueSuite, request, type TestQueue } from '../support/queue.ts'

const DAY_MS = 24 * 60 * 60 * 1000

describe('accepting jobs', () => {
  const { test } = queueSuite()

  const idsOf = (acceptances: unknown[]) => acceptances.map((one) => (one as { id: string }).id)
  const claimedIds = async (q: TestQueue, count = 1000) => (await q.claim(q.room(), count)).map(({ job }) => job.id)

  test('keeps the order of those that come together', async (q) => {
    const ids = idsOf(await q.queue.accept(Array.from({ length: 300 }, () => ({ request: request() }))))
    assert.equal(new Set(ids).size, 300)
    assert.deepEqual(await claimedIds(q), ids)
  })

  describe('with a priority', () => {
    test('lets them go before those with a lower one, and keeps the order among equals', async (q) => {
      const ids: string[] = []
      for (const priority of [0, 5, 9, 5, 9, 0]) {
        ids.push(await q.add({ priority }))
        await q.travel(1)
      }
      const expected = [2, 4, 1, 3, 0, 5].map((i) => ids[i])
      assert.deepEqual(await claimedIds(q), expected)
    })

    test('gives a job that is handed back, or whose worker died, its place again', async (q) => {
      await q.add()
      const urgent = await q.add({ priority: 1 })
      await q.add()
      const room = q.room({ leaseMs: 10_000 })
      const [claim] = await q.claim(room)
      assert.equal(claim?.job.id, urgent)
      if (claim) await q.settle(room, claim, { kind: 'back' })
      assert.deepEqual(
        (await q.claim(room)).map(({ job }) => job.id),
        [urgent],
      )
      await q.travel(10_000)
      assert.deepEqual(await claimedIds(q, 1), [urgent])
    })

    test('does not change when it was created', async (q) => {
      await q.add({ priority: 9 })
      const [claim] = await q.claim(q.room())
      assert.ok(Math.abs((claim?.job.createdMs ?? 0) - Date.now()) < 10_000)
    })
  })

  test('starts none before the time that it names, and a past one at once', async (q) => {
    const later = await q.add({ notBeforeMs: Date.now() + 60_000, priority: 9 })
    const past = await q.add({ notBeforeMs: Date.now() - 60_000 })
    const [claim] = await q.claim(q.room(), 10)
    assert.equal(claim?.job.id, past)
    if (claim) await q.settle(q.room(), claim, { kind: 'gone' })
    await q.travel(59_000)
    assert.deepEqual(await claimedIds(q), [])
    await q.travel(1000)
    assert.deepEqual(await claimedIds(q), [later])
  })

  test('refuses them while too many are pending, and takes some again when there is room', async (q) => {
    const queue = queueOf(q.redis, q.keys, undefined, 3)
    const full = { refused: 'full' }
    const acceptances = await queue.accept(Array.from({ length: 5 }, () => ({ request: request() })))
    assert.deepEqual(acceptances.slice(3), [full, full])
    assert.deepEqual(await queue.accept([{ request: request() }]), [full])
    assert.equal((await q.claim(q.room())).length, 1) // what runs is not queued
    assert.ok('id' in ((await queue.accept([{ request: request() }]))[0] ?? full))
    assert.equal((await q.check()).totals.get('accepted'), 4)
  })

  describe('with an idempotency key', () => {
    const keyed = (idempotencyKey: string, url = 'http://origin.example/') => ({
      request: request({ url }),
      idempotencyKey,
    })

    test('accepts one of a thousand that come at once', async (q) => {
      const answers = await Promise.all(Array.from({ length: 1000 }, () => q.queue.accept([keyed('key')])))
      assert.equal(new Set(answers.map((answer) => idsOf(answer)[0])).size, 1)
      assert.equal((await q.check()).totals.get('accepted'), 1)
    })

    test('accepts one of those that come in one call', async (q) => {
      const [one, two, three] = idsOf(await q.queue.accept([keyed('a'), keyed('a'), keyed('b')]))
      assert.equal(one, two)
      assert.notEqual(one, three)
    })

    test('refuses another request under the same key, and changes nothing', async (q) => {
      await q.queue.accept([keyed('key')])
      const before = await q.contents()
      assert.deepEqual(await q.queue.accept([keyed('key', 'http://other.example/')]), [{ refused: 'conflict' }])
      assert.deepEqual(await q.contents(), before)
    })

    test('gives the id that it gave, also when the job is over', async (q) => {
      const ids = idsOf(await q.queue.accept([keyed('key')]))
      const room = q.room()
      const [claim] = await q.claim(room)
      assert.ok(claim)
      await q.settle(room, claim, { kind: 'gone' })
      assert.deepEqual(idsOf(await q.queue.accept([keyed('key')])), ids)
    })

    test('remembers the key for 24 hours', async (q) => {
      await q.queue.accept([keyed('key')])
      const ttl = await q.redis.pttl(`${q.base}idempotency:key`)
      assert.ok(ttl > DAY_MS - 10_000 && ttl <= DAY_MS, `${ttl}`)
    })
  })
})
