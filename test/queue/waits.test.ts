import assert from 'node:assert/strict'
import { waitsOf } from '../../src/queue/waits.ts'
import { queueSuite } from '../support/queue.ts'

describe('how long the first job of a room waits', () => {
  const { test } = queueSuite()

  test('counts what could start, whatever its priority, and leaves out what is paused', async (q) => {
    const wait = async () => (await waitsOf(q.redis, q.keys)).get('downloads') ?? 0
    assert.equal(await wait(), 0)
    await q.add({ aggrId: 'old', priority: 3 })
    await q.travel(60_000)
    await q.add({ aggrId: 'new' })
    await q.travel(1000)
    const both = await wait()
    assert.ok(both >= 61_000 && both < 75_000, `${both} ms`)
    await q.queue.adjust('downloads', 'old', { paused: true })
    const one = await wait()
    assert.ok(one >= 1000 && one < 15_000, `${one} ms`)
  })
})
