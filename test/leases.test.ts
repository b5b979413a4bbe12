import assert from 'node:assert/strict'
import { HandBack, type Lease, LeaseLost, leasesOf } from '../src/leases.ts'
import type { Room } from '../src/queue/room.ts'
import { never, openQueue, queueSuite, type TestQueue, until } from './support/queue.ts'
import { startRelay } from './support/tcp-relay.ts'
import { gate, startWorker } from './support/worker.ts'

describe('leases', () => {
  const { server, test } = queueSuite()

  /** Claims one new job and holds its lease. */
  async function held(q: TestQueue, room: Room) {
    await q.add()
    const leases = leasesOf(room, q.log)
    const { claims, leaseEnd } = await room.claim(1, never)
    const [claim] = claims
    assert.ok(claim)
    return { leases, claim, lease: leases.hold(claim, leaseEnd), [Symbol.dispose]: () => leases.close() }
  }

  const aborted = (lease: Lease) =>
    until('the lease is over', () => lease.signal.aborted).then((): unknown => lease.signal.reason)

  test('are extended as long as they are held', async (q) => {
    using one = await held(q, q.room({ leaseMs: 800 }))
    const end = performance.now() + 1500
    while (performance.now() < end) {
      one.lease.confirm()
      assert.deepEqual(await q.claim(q.room()), [])
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })

  test('are not extended any more when they were dropped', async (q) => {
    using one = await held(q, q.room({ leaseMs: 300 }))
    one.leases.drop(one.lease)
    const other = q.room()
    await until('another worker gets the job', async () => (await q.claim(other)).length === 1)
    assert.equal(one.lease.signal.aborted, false)
  })

  test('end as soon as it is known that somebody else has the job', async (q) => {
    using one = await held(q, q.room({ leaseMs: 600 }))
    const channel = q.keys.room('downloads')
    await q.redis.zadd(`${channel}:leases`, 0, one.claim.job.id) // what a clock that jumps does
    assert.equal((await q.claim(q.room())).length, 1)
    const begin = performance.now()
    assert.ok((await aborted(one.lease)) instanceof LeaseLost)
    assert.ok(performance.now() - begin < 400, 'it is asked for every third of the lease')
    assert.throws(() => one.lease.confirm(), LeaseLost)
  })

  test('end before Redis may give the job to somebody else, when they cannot be extended', async (q) => {
    const leaseMs = 1000
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    const begin = performance.now()
    using one = await held(far, far.room({ leaseMs }))
    relay.hold('both')
    assert.ok((await aborted(one.lease)) instanceof LeaseLost)
    assert.ok(performance.now() - begin < leaseMs - 50, `${performance.now() - begin} ms`)
    assert.throws(() => one.lease.confirm(), LeaseLost)
    await q.check()
  })

  test('are looked at by whoever asks, also when no timer has run since', async (q) => {
    using one = await held(q, q.room({ leaseMs: 500 }))
    one.lease.confirm()
    const end = performance.now() + 500
    while (performance.now() < end); // a process that is frozen
    assert.throws(() => one.lease.confirm(), LeaseLost)
    assert.ok(one.lease.signal.reason instanceof LeaseLost)
  })

  test('that could not be extended in time are not taken back by a late answer', async (q) => {
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    using one = await held(far, far.room({ leaseMs: 600 }))
    relay.hold('replies')
    await aborted(one.lease)
    relay.release()
    assert.equal(await far.redis.ping(), 'PONG')
    assert.throws(() => one.lease.confirm(), LeaseLost)
    await q.check()
  })

  test('are handed back all at once', async (q) => {
    using one = await held(q, q.room({ leaseMs: 10_000 }))
    one.leases.handBack()
    assert.ok(one.lease.signal.reason instanceof HandBack)
    assert.throws(() => one.lease.confirm(), HandBack)
  })

  test('of other jobs stay when one is lost', async (q) => {
    const room = q.room({ leaseMs: 600 })
    using one = await held(q, room)
    const [other] = await q.add().then(() => q.claim(room))
    assert.ok(other)
    const kept = one.leases.hold(other, performance.now() + room.leaseMs)
    await q.settle(room, one.claim, { kind: 'gone' })
    await aborted(one.lease)
    kept.confirm()
    assert.equal(kept.signal.aborted, false)
  })

  test('are not called lost when the job was settled while they were extended', async (q) => {
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    await far.add()
    const { open, opened } = gate()
    await using worker = startWorker(far, {
      room: far.room({ leaseMs: 1200 }),
      async run() {
        await opened
        return { kind: 'deleted' }
      },
    })
    await until('the job runs', () => worker.runs.length === 1)
    relay.hold('replies')
    const answered = far.redis.ping()
    await new Promise((resolve) => setImmediate(resolve)) // it is sent; what follows waits for its answer and goes together
    open()
    await new Promise((resolve) => setTimeout(resolve, 500)) // a third of the lease: they are extended, too
    relay.release()
    await answered
    await until('the job is settled', async () => (await far.redis.hget(far.keys.totals, 'gone')) === '1')
    await worker.stop()
    assert.deepEqual(far.logged, [])
    await q.check()
  })
})
