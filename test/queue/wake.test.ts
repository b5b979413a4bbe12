import assert from 'node:assert/strict'
import type { RestReason } from '../../src/jobs/places.ts'
import { booksOf } from '../../src/queue/books.ts'
import { queueSuite, type TestQueue } from '../support/queue.ts'
import { RESULT as result } from '../support/samples.ts'

describe('waking a job that rests', () => {
  const { test } = queueSuite()

  async function atRest(q: TestQueue, reason: RestReason): Promise<string> {
    const id = await q.add()
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.equal(claim?.job.id, id)
    const patch = { attempts: 1, deliveries: 6, deliveryError: 'no answer', result, storage: 'files' }
    await q.settle(room, claim, { kind: 'rest', reason }, patch)
    return id
  }

  test('sends a callback that failed to its receiver once more', async (q) => {
    const id = await atRest(q, 'callback-failed')
    assert.equal(await q.queue.wake(id, 'callback-failed', { kind: 'retried-by-hand' }), 'woken')
    const [claim] = await q.claim(q.room({ name: 'callbacks:http', groupLimit: 1 }))
    assert.equal(claim?.job.id, id)
    assert.equal(claim?.group, 'http://receiver.example:80')
    assert.deepEqual([claim?.job.deliveries, claim?.job.deliveryError, claim?.job.attempts], [0, '', 1])
  })

  test('sends what has rested long enough through the deletions, without its request', async (q) => {
    const id = await atRest(q, 'done')
    assert.equal(await q.queue.wake(id, 'done', { kind: 'expired' }), 'woken')
    const [claim] = await q.claim(q.room({ name: 'deletions:files', groupLimit: 1 }))
    assert.equal(claim?.job.id, id)
    assert.equal(claim?.job.request, undefined)
    assert.equal(claim?.job.result?.path, 'abc/abcdef')
  })

  test('lets it begin with no stalls', async (q) => {
    await q.add()
    const room = q.room({ leaseMs: 10_000 })
    await q.claim(room)
    await q.travel(10_000)
    const [claim] = await q.claim(room)
    assert.equal(claim?.job.stalls, 1)
    await q.settle(room, claim, { kind: 'rest', reason: 'callback-failed' }, { result })
    await q.queue.wake(claim.job.id, 'callback-failed', { kind: 'retried-by-hand' })
    const [again] = await q.claim(q.room({ name: 'callbacks:http', groupLimit: 1 }))
    assert.equal(again?.job.stalls, 0)
  })

  test('happens once', async (q) => {
    const id = await atRest(q, 'callback-failed')
    const outcome = { kind: 'retried-by-hand' } as const
    const replies = await Promise.all([1, 2, 3].map(() => q.queue.wake(id, 'callback-failed', outcome)))
    assert.deepEqual(replies.sort(), ['absent', 'absent', 'woken'])
  })

  test('says that a job rests elsewhere or not at all, and changes nothing', async (q) => {
    const done = await atRest(q, 'done')
    const pending = await q.add()
    const before = await q.contents()
    for (const id of [done, pending]) {
      assert.equal(await q.queue.wake(id, 'callback-failed', { kind: 'retried-by-hand' }), 'absent')
      assert.equal(await q.queue.wake(id, 'callback-failed', { kind: 'expired' }), 'absent')
    }
    assert.deepEqual(await q.contents(), before)
  })

  test('says that there is no such job', async (q) => {
    assert.equal(await q.queue.wake('AAAAAAAAAAAAAA', 'callback-failed', { kind: 'retried-by-hand' }), 'unknown')
    const args = ['AAAAAAAAAAAAAA', '', 'room', 'group', 1, '', 0, '0'] as const
    const reply = await q.redis.moveJob(q.keys.rest('callback-failed'), q.keys.room('callbacks:http'), ...args)
    assert.equal(reply, 'unknown')
    assert.deepEqual(await q.contents(), {})
  })

  test('forgets a job at rest whose record is lost: it counts as gone', async (q) => {
    const id = await atRest(q, 'callback-failed')
    await q.redis.del(q.keys.request(id), q.keys.state(id))
    const outcome = { kind: 'retried-by-hand' } as const
    for (let i = 0; i < 2; i++) assert.equal(await q.queue.wake(id, 'callback-failed', outcome), 'unknown')
    const { accepted, gone, rest } = await booksOf(q.redis, q.keys)
    assert.deepEqual([accepted, gone, rest['callback-failed']], [1, 1, 0])
  })
})
