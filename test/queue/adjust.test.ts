import assert from 'node:assert/strict'
import { queueSuite, type TestQueue } from '../support/queue.ts'

describe('what an operator sets of a group', () => {
  const { test } = queueSuite()

  async function addMany(q: TestQueue, count: number, aggrLimit: number): Promise<void> {
    for (let i = 0; i < count; i++) await q.add({ aggrId: 'cats', aggrLimit })
  }

  test('takes effect at once when the limit rises', async (q) => {
    await addMany(q, 5, 1)
    const room = q.room()
    assert.equal((await q.claim(room, 5)).length, 1)
    await q.queue.adjust('downloads', 'cats', { limit: 3 })
    assert.ok((await q.check()).rooms.get('downloads')?.line.has('cats'))
    assert.equal((await q.claim(room, 5)).length, 2)
  })

  test('takes effect at once when the limit falls, and lets what runs come to its end', async (q) => {
    await addMany(q, 6, 4)
    const room = q.room()
    const claims = await q.claim(room, 3)
    const before = await q.check()
    await q.queue.adjust('downloads', 'cats', { limit: 2 })
    await q.check({ since: before })
    assert.deepEqual(await q.claim(room, 5), [])
    for (const [i, claim] of claims.entries()) {
      assert.deepEqual(await q.extend(room, claim), [])
      assert.equal(await q.settle(room, claim, { kind: 'gone' }), 'settled')
      // 2 run, 1 runs and 1 more may, none runs and 1 more may
      assert.equal((await q.claim(room, 5)).length, [0, 1, 1][i], `after ${i + 1} settled`)
    }
  })

  test('outlives the group, and wins over what the next first job brings', async (q) => {
    await q.queue.adjust('downloads', 'cats', { limit: 2 })
    await addMany(q, 4, 100)
    const room = q.room()
    for (let round = 0; round < 2; round++) {
      const claims = await q.claim(room, 10)
      assert.equal(claims.length, 2)
      for (const claim of claims) await q.settle(room, claim, { kind: 'gone' })
    }
    assert.equal((await q.check()).rooms.get('downloads')?.groups.size, 0)
    await addMany(q, 4, 100)
    assert.equal((await q.claim(room, 10)).length, 2)
  })

  test('can be taken back', async (q) => {
    await addMany(q, 6, 3)
    const room = q.room()
    await q.queue.adjust('downloads', 'cats', { limit: 1, paused: true })
    await q.queue.adjust('downloads', 'cats', {})
    assert.equal((await q.claim(room, 10)).length, 3)
    assert.equal((await q.check()).rooms.get('downloads')?.overrides.size, 0)
  })

  test('pauses a group, also one that is full, and lets it go on', async (q) => {
    await addMany(q, 3, 1)
    const room = q.room()
    const [running] = await q.claim(room)
    assert.ok(running)
    await q.queue.adjust('downloads', 'cats', { paused: true })
    await q.settle(room, running, { kind: 'gone' })
    await addMany(q, 1, 1)
    assert.deepEqual(await q.claim(room, 5), [])
    await q.queue.adjust('downloads', 'cats', { paused: false })
    assert.equal((await q.claim(room, 5)).length, 1)
  })

  test('pauses what is due later, too', async (q) => {
    await addMany(q, 1, 1)
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, { kind: 'again', delayMs: 1000 })
    await q.queue.adjust('downloads', 'cats', { paused: true })
    await q.check()
    await q.travel(1000)
    assert.deepEqual(await q.claim(room), [])
    await q.queue.adjust('downloads', 'cats', {})
    assert.equal((await q.claim(room)).length, 1)
  })

  test('does not touch other groups', async (q) => {
    await q.queue.adjust('downloads', 'cats', { paused: true })
    await q.add({ aggrId: 'cats' })
    const id = await q.add({ aggrId: 'dogs' })
    assert.equal((await q.claim(q.room(), 5))[0]?.job.id, id)
  })

  test('gives a stall of a paused group its place back', async (q) => {
    await addMany(q, 1, 1)
    await q.claim(q.room({ leaseMs: 10_000 }))
    await q.queue.adjust('downloads', 'cats', { paused: true })
    await q.travel(10_000)
    const room = q.room()
    assert.deepEqual(await q.claim(room), [])
    assert.equal((await q.check()).rooms.get('downloads')?.pending.get('cats')?.size, 1)
    await q.queue.adjust('downloads', 'cats', {})
    assert.equal((await q.claim(room))[0]?.job.stalls, 1)
  })
})
