import assert from 'node:assert/strict'
import { expire } from '../../src/processor/expire.ts'
import { booksOf } from '../../src/queue/books.ts'
import { never, queueSuite, type TestQueue } from '../support/queue.ts'

const HOUR_MS = 3_600_000
const SECOND_MS = 1000 // what rests is asked for by whole seconds
const PATH = 'abc/abcdef'
const result = {
  success: true,
  error: '',
  errorCode: '',
  responseCode: 200,
  imageSize: '',
  size: 3,
  sha256: '',
  mimeType: '',
}

describe('jobs at rest', () => {
  const { test } = queueSuite()

  async function restAll(q: TestQueue, count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => q.add()))
    const room = q.room()
    for (const claim of await q.claim(room, count)) {
      await q.settle(
        room,
        claim,
        { kind: 'rest', reason: 'done' },
        { result: { ...result, path: PATH }, storage: 'files' },
      )
    }
  }

  test('go through the deletions when their time is over, and not before', async (q) => {
    await restAll(q, 2)
    await q.travel(HOUR_MS + SECOND_MS)
    await restAll(q, 1)
    await expire(q.queue, HOUR_MS, 'files', never)
    const claims = await q.claim(q.room({ name: 'deletions:files', groupLimit: 9 }), 9)
    assert.deepEqual(
      claims.map(({ job }) => job.result?.path),
      [PATH, PATH],
    )
    assert.equal((await booksOf(q.redis, q.keys)).rest.done, 1)
  })

  test('whose records are lost are forgotten, and hold up nobody', async (q) => {
    const lost = Array.from({ length: 1200 }, (_, i) => [1, `lost${String(i).padStart(10, '0')}`]).flat()
    await q.redis.zadd(q.keys.rest('done'), ...lost)
    await q.redis.hset(q.keys.totals, 'accepted', 1200)
    await restAll(q, 1)
    await q.travel(SECOND_MS)
    await expire(q.queue, 0, 'files', AbortSignal.timeout(5000))
    const { gone, rest, rooms, unaccounted } = await booksOf(q.redis, q.keys)
    assert.deepEqual([gone, rest.done, unaccounted], [1200, 0, 0])
    assert.equal(rooms.find(({ room }) => room === 'deletions:files')?.pending, 1)
  })
})
