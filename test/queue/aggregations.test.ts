import assert from 'node:assert/strict'
import { aggregationsOf } from '../../src/queue/aggregations.ts'
import { jobsOf } from '../../src/queue/jobs.ts'
import { queueSuite, type TestQueue } from '../support/queue.ts'

describe('the aggregations', () => {
  const { test } = queueSuite()

  const aggregations = (q: TestQueue) => aggregationsOf(q.redis, q.keys, jobsOf(q.redis, q.keys, q.queue))
  const names = async (q: TestQueue) => (await aggregations(q).names()).sort()

  test('that are named have jobs that wait, run or failed, or something is set of them, each once', async (q) => {
    const room = q.room()
    for (const aggrId of ['failed', 'both', 'undelivered', 'done', 'gone']) await q.add({ aggrId })
    for (const claim of await q.claim(room, 5)) {
      const { group } = claim
      const tags = [`of:${group}`]
      if (group === 'gone') await q.settle(room, claim, { kind: 'gone' })
      else if (group === 'done') await q.settle(room, claim, { kind: 'rest', reason: 'done' }, { attempts: 1, tags })
      else {
        const reason = group === 'undelivered' ? 'callback-failed' : 'failed'
        await q.settle(room, claim, { kind: 'rest', reason }, { attempts: 1, tags })
      }
    }
    await q.add({ aggrId: 'both' })
    await q.add({ aggrId: 'running' })
    assert.equal((await q.claim(room, 2)).length, 2)
    await q.add({ aggrId: 'pending' })
    await aggregations(q).amend('set', { limit: 1 })
    const expected = ['both', 'failed', 'pending', 'running', 'set', 'undelivered']
    assert.deepEqual(await names(q), expected)
    const found = await Promise.all(expected.map((name) => aggregations(q).find(name)))
    assert.ok(!found.includes(undefined), 'and each is found by its name')
  })

  test('of which what failed was taken away are named no more', async (q) => {
    const room = q.room()
    await q.add({ aggrId: 'one' })
    await q.add({ aggrId: 'one' })
    const claims = await q.claim(room, 2)
    for (const claim of claims) {
      await q.settle(room, claim, { kind: 'rest', reason: 'failed' }, { attempts: 1, tags: ['of:one'] })
    }
    const [first = '', second = ''] = claims.map(({ job }) => job.id)
    assert.equal(await q.queue.wake(first, 'failed', { kind: 'expired' }), 'woken')
    assert.deepEqual(await names(q), ['one'])
    assert.equal(await q.queue.wake(second, 'failed', { kind: 'expired' }), 'woken')
    assert.deepEqual(await names(q), [])
  })
})
