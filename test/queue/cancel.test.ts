import assert from 'node:assert/strict'
import { Cancelled, type Lease, leasesOf } from '../../src/leases.ts'
import { jobsOf } from '../../src/queue/jobs.ts'
import { never, queueSuite, type TestQueue, until } from '../support/queue.ts'
import { RESULT as result } from '../support/samples.ts'
import { startWorker, untilAborted } from '../support/worker.ts'

const receiver = 'http://receiver.example:80'

describe('cancelling a job', () => {
  const { test } = queueSuite()

  const cancel = (q: TestQueue, id: string) => jobsOf(q.redis, q.keys, q.queue).cancel(id)
  const restOf = async (q: TestQueue) => [...((await q.check()).rest.get('cancelled')?.keys() ?? [])]

  /** One that was downloaded and is to be called back. */
  async function downloaded(q: TestQueue): Promise<string> {
    const id = await q.add()
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    const place = { kind: 'room', room: 'callbacks:http', group: receiver } as const
    await q.settle(room, claim, place, { attempts: 1, result, storage: 'files' })
    return id
  }

  test('lets it rest at once while it is pending, and lets the next one of its group go on', async (q) => {
    const ids = [await q.add({ aggrLimit: 1 }), await q.add({ aggrLimit: 1 })]
    const [first = '', second = ''] = ids
    assert.equal(await cancel(q, first), 'cancelled')
    assert.equal(await cancel(q, first), 'cancelled')
    assert.deepEqual(await restOf(q), [first])
    assert.deepEqual(
      (await q.claim(q.room(), 5)).map(({ job }) => job.id),
      [second],
    )
  })

  test('forgets its group when it was the last one, and a hold of it', async (q) => {
    const id = await q.add()
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, { kind: 'again', delayMs: 5000, holdMs: 60_000 })
    assert.equal(await cancel(q, id), 'cancelled')
    assert.equal((await q.check()).rooms.get('downloads')?.groups.size, 0)
  })

  test('goes to the deletion of its file, when it has one, and rests after that', async (q) => {
    const id = await downloaded(q)
    assert.equal(await cancel(q, id), 'cancelled')
    assert.equal(await cancel(q, id), 'cancelled')
    const deletions = q.room({ name: 'deletions:files', groupLimit: 1 })
    await using _ = startWorker(q, { room: deletions })
    await until('it rests', async () => (await q.queue.find(id))?.result?.path === undefined)
    assert.deepEqual(await restOf(q), [id])
    assert.equal((await q.queue.find(id))?.request?.aggrId, 'group')
    assert.equal(await q.queue.wake(id, 'cancelled', { kind: 'expired', storage: 'files' }), 'woken')
    await until('it is gone', async () => (await q.queue.find(id)) === undefined)
  })

  test('is gone when its time at rest is over, when it never had a file', async (q) => {
    const id = await q.add()
    await cancel(q, id)
    assert.equal(await q.queue.wake(id, 'cancelled', { kind: 'expired', storage: 'files' }), 'woken')
    assert.equal(await q.queue.find(id), undefined)
  })

  test('looks for a file in the end when a worker died with it', async (q) => {
    const id = await q.add()
    await q.claim(q.room({ leaseMs: 10_000 }))
    await q.travel(10_000)
    await q.claim(q.room(), 0)
    assert.equal(await cancel(q, id), 'cancelled')
    await q.queue.wake(id, 'cancelled', { kind: 'expired', storage: 'files' })
    const [claim] = await q.claim(q.room({ name: 'deletions:files', groupLimit: 1 }))
    assert.equal(claim?.job.result?.path, `${id.slice(0, 3)}/${id}`)
  })

  test('tells who runs it at once, and keeps its place in the group until that one has stopped', async (q) => {
    const id = await q.add({ aggrLimit: 1 })
    await q.travel(1)
    await q.add({ aggrLimit: 1 })
    const reasons: unknown[] = []
    await using worker = startWorker(q, {
      concurrency: 2,
      run: async (lease: Lease) => {
        if (lease.claim.job.id !== id) return { kind: 'deleted' }
        await untilAborted(lease).catch((reason) => reasons.push(reason))
        return { kind: 'cancelled', storage: 'files' }
      },
    })
    await until('it runs', () => worker.runs.length === 1)
    assert.equal(await cancel(q, id), 'cancelling')
    await until('the next one has run', () => worker.runs.length === 2)
    assert.ok(reasons[0] instanceof Cancelled)
    await until('it rests', async () => (await restOf(q)).length === 1)
  })

  test('is noticed with the next extension of the lease, when the message was missed', async (q) => {
    const id = await q.add()
    const room = q.room({ leaseMs: 600 })
    const { claims, leaseEnd } = await room.claim(1, never)
    const [claim] = claims
    assert.ok(claim)
    const leases = leasesOf(room, q.log)
    const lease = leases.hold(claim, leaseEnd)
    await q.redis.hset(q.keys.state(id), 'cancelled', '1')
    await until('the lease ends', () => lease.signal.aborted, 2000)
    assert.ok(lease.signal.reason instanceof Cancelled)
    assert.throws(() => lease.confirm(), Cancelled)
    leases.close()
    assert.equal(await q.settle(room, claim, { kind: 'rest', reason: 'cancelled' }), 'settled')
  })

  test('is seen by the next worker, when the one that ran it died', async (q) => {
    const id = await q.add()
    await q.claim(q.room({ leaseMs: 10_000 }))
    assert.equal(await cancel(q, id), 'cancelling')
    await q.travel(10_000)
    const [claim] = await q.claim(q.room())
    assert.equal(claim?.job.cancelled, true)
  })

  /** One that was called back, and whose file waits for a minute. */
  async function delivered(q: TestQueue): Promise<string> {
    const id = await downloaded(q)
    const callbacks = q.room({ name: 'callbacks:http', groupLimit: 1 })
    const [claim] = await q.claim(callbacks)
    assert.ok(claim)
    const place = { kind: 'room', room: 'deletions:files', group: 'files', delayMs: 60_000, shrink: true } as const
    await q.settle(callbacks, claim, place, { deliveries: 1 })
    return id
  }
  const deletions = (q: TestQueue) => q.room({ name: 'deletions:files', groupLimit: 9 })

  test('does nothing to one that there is not', async (q) => {
    await delivered(q)
    const before = await q.contents()
    assert.equal(await cancel(q, 'AAAAAAAAAAAAAA'), 'unknown')
    assert.deepEqual(await q.contents(), before)
  })

  test('deletes what rests', async (q) => {
    const failed = await downloaded(q)
    const callbacks = q.room({ name: 'callbacks:http', groupLimit: 1 })
    const [claim] = await q.claim(callbacks)
    assert.ok(claim)
    await q.settle(callbacks, claim, { kind: 'rest', reason: 'callback-failed' }, { deliveries: 1, tags: ['of:group'] })
    assert.equal(await cancel(q, failed), 'expired')
    const [deletion] = await q.claim(deletions(q))
    assert.equal(deletion?.job.id, failed)
    assert.equal(await cancel(q, failed), 'expired', 'while it is being deleted')
  })

  test('lets the file of one that was delivered go at once, once, and before those that keep their time', async (q) => {
    const ids = [await delivered(q), await delivered(q)]
    const [first = '', second = ''] = ids
    assert.deepEqual(await q.claim(deletions(q), 5), [])
    assert.equal(await cancel(q, second), 'expired')
    await q.check()
    await q.travel(1)
    const before = await q.contents()
    assert.equal(await cancel(q, second), 'expired')
    assert.deepEqual(await q.contents(), before)
    const claims = await q.claim(deletions(q), 5)
    assert.deepEqual(
      claims.map(({ job }) => [job.id, job.result?.path]),
      [[second, result.path]],
    )
    const [claim] = claims
    assert.ok(claim)
    await q.settle(deletions(q), claim, { kind: 'gone' })
    assert.equal(await cancel(q, second), 'unknown')
    await q.travel(60_000)
    assert.deepEqual(
      (await q.claim(deletions(q), 5)).map(({ job }) => job.id),
      [first],
    )
  })

  test('wakes a processor that sleeps until the next deletion', async (q) => {
    const id = await delivered(q)
    await using worker = startWorker(q, { room: deletions(q), run: async () => ({ kind: 'deleted' }) })
    assert.equal(await cancel(q, id), 'expired')
    await until('it is gone', async () => (await q.queue.find(id)) === undefined, 2000)
    assert.equal(worker.runs.length, 1)
  })

  test('leaves alone what somebody waits for, when only what is over shall go', async (q) => {
    const jobs = jobsOf(q.redis, q.keys, q.queue)
    const pending = await q.add()
    assert.equal(await jobs.cancel(pending, true), 'awaited')
    const [claim] = await q.claim(q.room())
    assert.ok(claim)
    assert.equal(await jobs.cancel(pending, true), 'awaited')
    const place = { kind: 'room', room: 'callbacks:http', group: receiver } as const
    await q.settle(q.room(), claim, place, { attempts: 1, result, storage: 'files' })
    assert.equal(await jobs.cancel(pending, true), 'awaited')
    const callbacks = q.room({ name: 'callbacks:http', groupLimit: 1 })
    const [callback] = await q.claim(callbacks)
    assert.ok(callback)
    assert.equal(await jobs.cancel(pending, true), 'awaited')
    await q.settle(callbacks, callback, { kind: 'rest', reason: 'callback-failed' }, { deliveries: 1 })
    assert.equal(await jobs.cancel(pending, true), 'awaited')
    for (const id of [await delivered(q)]) assert.equal(await jobs.cancel(id, true), 'expired')
    assert.equal((await q.check()).rest.get('callback-failed')?.size, 1)
  })

  test('happens once, whoever asks', async (q) => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => q.add()))
    await q.claim(q.room(), 10)
    await Promise.all([...ids, ...ids, ...ids].map((id) => cancel(q, id)))
    const { rest, totals } = await q.check()
    assert.equal(rest.get('cancelled')?.size, 10)
    assert.equal(totals.get('accepted'), 20)
  })
})
