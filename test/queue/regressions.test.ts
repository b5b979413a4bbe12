import assert from 'node:assert/strict'
import { addByScript, queueSuite } from '../support/queue.ts'

/** What the model (model.test.ts) has found, as short as it could be told. */
describe('what the model of the queue has found', () => {
  const { test } = queueSuite()

  test('a job is accepted once, also when it is sent again after its request was dropped', async (q) => {
    const add = () => addByScript(q.redis, q.keys.room('downloads'), { id: 'job' })
    assert.equal(await add(), 'added')
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, { kind: 'room', room: 'deletions:files', group: 'files', shrink: true })
    const before = await q.contents()
    assert.equal(await add(), 'known')
    assert.deepEqual(await q.contents(), before)
  })
})
