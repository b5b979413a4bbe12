import assert from 'node:assert/strict'
import { packRequest } from '../../src/jobs/record.ts'
import { queueSuite, request } from '../support/queue.ts'

/** What the model (model.test.ts) has found, as short as it could be told. */
describe('what the model of the queue has found', () => {
  const { test } = queueSuite()

  test('a job is accepted once, also when it is sent again after its request was dropped', async (q) => {
    const add = () => q.redis.addJob(q.keys.room('downloads'), 'job', packRequest(request()), 'group', 1, '', 0)
    assert.equal(await add(), 1)
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, { kind: 'room', room: 'deletions:files', group: 'files', shrink: true })
    const before = await q.contents()
    assert.equal(await add(), 0)
    assert.deepEqual(await q.contents(), before)
  })
})
