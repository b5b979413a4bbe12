import assert from 'node:assert/strict'
import type { Place } from '../../src/jobs/places.ts'
import { never, queueSuite, type TestQueue } from '../support/queue.ts'

describe('the bell of a room', () => {
  const { test } = queueSuite()

  /** How often the bell rings while `action` runs. */
  async function rings(q: TestQueue, action: () => Promise<unknown>, room = 'downloads'): Promise<number> {
    const channel = `${q.keys.room(room)}:bell`
    let count = 0
    let over: () => void
    const ended = new Promise<void>((resolve) => {
      over = resolve
    })
    const onMessage = (from: string, message: string) => {
      if (from !== channel) return
      if (message === 'the end') over()
      else count++
    }
    await q.subscriber.subscribe(channel)
    q.subscriber.on('message', onMessage)
    await action()
    await q.redis.publish(channel, 'the end')
    await ended
    q.subscriber.off('message', onMessage)
    return count
  }

  async function claimed(q: TestQueue, count = 1) {
    const room = q.room()
    const claims = await q.claim(room, count)
    assert.equal(claims.length, count)
    return { room, claims }
  }

  test('rings for the job that makes the line, and not for those behind it', async (q) => {
    assert.equal(await rings(q, () => q.add({ aggrId: 'cats' })), 1)
    assert.equal(await rings(q, () => q.add({ aggrId: 'cats' })), 0)
    assert.equal(await rings(q, () => q.add({ aggrId: 'dogs' })), 0)
    await q.claim(q.room(), 5)
    assert.equal(await rings(q, () => q.add({ aggrId: 'dogs' })), 1)
  })

  test('does not ring for a job that has to wait for its group', async (q) => {
    await q.add({ aggrLimit: 1 })
    await q.claim(q.room())
    assert.equal(await rings(q, () => q.add()), 0)
  })

  test('does not ring for jobs that are claimed: whoever is idle was told when they came', async (q) => {
    for (let i = 0; i < 20; i++) await q.add({ aggrId: 'cats' })
    assert.equal(await rings(q, () => q.claim(q.room(), 5)), 0)
    for (let i = 0; i < 3; i++) await q.add({ aggrId: 'dogs' })
    assert.equal(await rings(q, () => q.claim(q.room(), 50)), 0)
  })

  test('rings when a full group may start a job again', async (q) => {
    await q.add({ aggrLimit: 1 })
    await q.add()
    const { room, claims } = await claimed(q)
    const [claim] = claims
    assert.ok(claim)
    assert.equal(await rings(q, () => q.settle(room, claim, { kind: 'gone' })), 1)
  })

  test('does not ring for what the call that makes it claimable claims itself, and rings for what it leaves', async (q) => {
    for (let i = 0; i < 5; i++) await q.add({ aggrLimit: 2 })
    const { room, claims } = await claimed(q, 2)
    const [one, two] = claims
    assert.ok(one && two)
    await q.travel(10) // so that the leases of this call end later than theirs
    assert.equal(await rings(q, () => room.claim(5, never, [one])), 0)
    assert.equal(await rings(q, () => room.claim(0, never, [two])), 1)
    assert.equal((await q.claim(q.room())).length, 1)
  })

  test('rings in the room that a job goes to', async (q) => {
    await q.add()
    const { room, claims } = await claimed(q)
    const [claim] = claims
    assert.ok(claim)
    const place: Place = { kind: 'room', room: 'callbacks:http', group: 'receiver' }
    assert.equal(await rings(q, () => q.settle(room, claim, place), 'callbacks:http'), 1)
  })

  test('rings when an operator lets a group go on, or gives it a higher limit', async (q) => {
    await q.add({ aggrId: 'cats', aggrLimit: 1 })
    await q.add({ aggrId: 'cats' })
    await claimed(q)
    assert.equal(await rings(q, () => q.queue.adjust('downloads', 'cats', { paused: true })), 0)
    assert.equal(await rings(q, () => q.queue.adjust('downloads', 'cats', { paused: true, limit: 2 })), 0)
    assert.equal(await rings(q, () => q.queue.adjust('downloads', 'cats', { limit: 2 })), 1)
    await q.queue.adjust('downloads', 'cats', { limit: 1 })
    assert.equal(await rings(q, () => q.queue.adjust('downloads', 'cats', { limit: 2 })), 1)
  })

  test('rings for a job that is due before all others, so that nobody sleeps past it', async (q) => {
    for (const aggrId of ['cats', 'dogs', 'birds']) await q.add({ aggrId })
    const { room, claims } = await claimed(q, 3)
    const [cat, dog, bird] = claims
    assert.ok(cat && dog && bird)
    assert.equal(await rings(q, () => q.settle(room, cat, { kind: 'again', delayMs: 60_000 })), 1)
    assert.equal(await rings(q, () => q.settle(room, dog, { kind: 'again', delayMs: 90_000 })), 0)
    assert.equal(await rings(q, () => q.settle(room, bird, { kind: 'again', delayMs: 30_000 })), 1)
  })

  test('does not ring again for a time that is known', async (q) => {
    await q.add()
    await q.add()
    const { room, claims } = await claimed(q, 2)
    const [one, two] = claims
    assert.ok(one && two)
    await q.settle(room, one, { kind: 'again', delayMs: 0, holdMs: 60_000 })
    assert.equal(await rings(q, () => q.add()), 0)
    assert.equal(await rings(q, () => q.settle(room, two, { kind: 'again', delayMs: 90_000 })), 0)
    assert.equal(await rings(q, () => q.queue.adjust('downloads', 'group', { limit: 50 })), 0)
  })
})
