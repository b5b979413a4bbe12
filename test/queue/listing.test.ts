import assert from 'node:assert/strict'
import { aggregationTag, codeTag, type RestReason } from '../../src/jobs/places.ts'
import { type Cursor, listingOf, type Page } from '../../src/queue/listing.ts'
import { retryingOf } from '../../src/queue/retrying.ts'
import { queueSuite, type TestQueue } from '../support/queue.ts'

describe('lists of jobs', () => {
  const { test } = queueSuite()

  const listing = (q: TestQueue) => listingOf(q.redis, q.keys)

  /** Every page, one after the other. */
  async function all(page: (after: Cursor | undefined) => Promise<Page>): Promise<string[]> {
    const ids: string[] = []
    let next: Cursor | undefined
    let pages = 0
    do {
      const { listed, next: after } = await page(next)
      ids.push(...listed.map(({ job }) => job.id))
      next = after
      assert.ok(++pages < 1000)
    } while (next)
    return ids
  }

  /** Lets so many rest, in this order, one ms apart. */
  async function restMany(q: TestQueue, count: number, reason: RestReason, tagsOf: (i: number) => string[]) {
    const room = q.room()
    for (let i = 0; i < count; i++) await q.add()
    const claims = await q.claim(room, count)
    for (const [i, claim] of claims.entries()) {
      await q.settle(room, claim, { kind: 'rest', reason }, { attempts: 1, storage: 'files', tags: tagsOf(i) })
      await q.travel(1)
    }
    return claims.map(({ job }) => job.id)
  }

  test('of what rests come newest first, each once, whatever the size of a page', async (q) => {
    const ids = (await restMany(q, 25, 'failed', () => [])).reverse()
    for (const count of [1, 3, 25, 100]) {
      assert.deepEqual(await all((after) => listing(q).atRest({ reason: 'failed', tags: [] }, count, after)), ids)
    }
  })

  test('of what rests come by tags, of which all must fit, and by time', async (q) => {
    const ids = await restMany(q, 30, 'failed', (i) => [
      aggregationTag(i % 2 ? 'odd' : 'even'),
      codeTag(i % 3 ? 'http.404' : 'http.503'),
    ])
    const list = (tags: string[]) => all((after) => listing(q).atRest({ reason: 'failed', tags }, 4, after))
    const newest = [...ids].reverse()
    const wanted = (fits: (i: number) => boolean) => newest.filter((id) => fits(ids.indexOf(id)))
    assert.deepEqual(
      await list([aggregationTag('odd')]),
      wanted((i) => i % 2 === 1),
    )
    assert.deepEqual(
      await list([codeTag('http.503')]),
      wanted((i) => i % 3 === 0),
    )
    assert.deepEqual(
      await list([aggregationTag('odd'), codeTag('http.503')]),
      wanted((i) => i % 2 === 1 && i % 3 === 0),
    )
    assert.deepEqual(await list([aggregationTag('other')]), [])
    const times = await q.redis.zrange(q.keys.rest('failed'), '0', '-1', 'WITHSCORES')
    const [sinceMs, untilMs] = [Number(times[2 * 10 + 1]), Number(times[2 * 20 + 1])]
    const filter = { reason: 'failed', tags: [], sinceMs, untilMs } as const
    assert.deepEqual(await all((after) => listing(q).atRest(filter, 3, after)), ids.slice(10, 21).reverse())
  })

  test('go on where they were when the last one of a page is gone, also among many of one moment', async (q) => {
    const members = Array.from({ length: 50 }, (_, i) => [7, `same${String(i).padStart(10, '0')}`]).flat()
    const key = `${q.base}test`
    await q.redis.zadd(key, ...members)
    for (const order of ['asc', 'desc']) {
      const first = await q.redis.pageOfJobs(1, key, order, '-inf', '+inf', 20, '', '')
      const [score = '', id = '', ...page] = first
      await q.redis.zrem(key, id)
      const second = await q.redis.pageOfJobs(1, key, order, '-inf', '+inf', 100, score, id)
      const ids = [...page, ...second.slice(2)].filter((_, i) => i % 2 === 0)
      assert.deepEqual(second.slice(0, 2), ['', ''])
      assert.equal(new Set(ids).size, 50)
      await q.redis.zadd(key, score, id)
    }
    await q.redis.del(key)
  })

  test('look at a bounded number of jobs, and say where to go on', async (q) => {
    const key = `${q.base}test`
    const rare = `${q.base}rare`
    const flat = (from: number, to: number) => {
      return Array.from({ length: to - from }, (_, i) => [from + i, `job${String(from + i).padStart(11, '0')}`]).flat()
    }
    await q.redis.zadd(key, ...flat(0, 3000))
    await q.redis.zadd(rare, ...flat(2999, 9000))
    const [score = '', id = '', ...found] = await q.redis.pageOfJobs(2, rare, key, 'asc', '-inf', '+inf', 10, '', '')
    assert.deepEqual([score, id, found], ['999', 'job00000000999', []])
    await q.redis.del(key, rare)
  })

  test('of what is pending come group by group, in the order of the queue', async (q) => {
    const expected: string[] = []
    for (const aggrId of ['a', 'b : x\n{y}', 'c']) {
      for (let i = 0; i < 7; i++) {
        expected.push(await q.add({ aggrId }))
        await q.travel(1)
      }
    }
    for (const count of [1, 4, 7, 100]) {
      assert.deepEqual(await all((after) => listing(q).pending('downloads', undefined, count, after)), expected)
    }
    const one = await all((after) => listing(q).pending('downloads', 'c', 3, after))
    assert.deepEqual(one, expected.slice(14))
  })

  test('of what runs come by id', async (q) => {
    for (let i = 0; i < 9; i++) await q.add({ aggrId: `group ${i % 3}` })
    const claims = await q.claim(q.room(), 7)
    const ids = claims.map(({ job }) => job.id).sort()
    assert.deepEqual(await all((after) => listing(q).running('downloads', undefined, 2, after)), ids)
    const own = claims.filter(({ group }) => group === 'group 1').map(({ job }) => job.id)
    assert.deepEqual(await all((after) => listing(q).running('downloads', 'group 1', 2, after)), own.sort())
    assert.deepEqual(await all((after) => listing(q).running('callbacks', undefined, 2, after)), [])
  })

  describe('of what failed', () => {
    const retrying = (q: TestQueue) => retryingOf(q.redis, q.keys, q.queue, listing(q))

    test('can be retried, at the rate that is given, over several calls', async (q) => {
      await restMany(q, 30, 'failed', () => [aggregationTag('group')])
      const filter = { reason: 'failed', tags: [aggregationTag('group')] } as const
      const first = await retrying(q).retry(filter, 20, 10)
      assert.deepEqual([first.retried, first.more, first.lastMs], [20, true, 1900])
      const second = await retrying(q).retry(filter, 20, 10)
      assert.deepEqual([second.retried, second.more], [10, false])
      assert.ok(second.lastMs > 2500 && second.lastMs <= 2900, `${second.lastMs}`)
      const room = q.room()
      const begun = []
      for (let s = 0; s < 4; s++) {
        begun.push((await q.claim(room, 100)).length)
        await q.travel(1000)
      }
      assert.equal(
        begun.reduce((sum, n) => sum + n),
        30,
      )
      for (const n of begun) assert.ok(n <= 12, `${begun}`)
      assert.equal((await q.check()).rest.get('failed'), undefined)
    })

    test('is downloaded anew: attempts and result begin again', async (q) => {
      const [id = ''] = await restMany(q, 1, 'failed', () => [])
      await retrying(q).retry({ reason: 'failed', tags: [] }, 10, 1000)
      const job = await q.queue.find(id)
      assert.deepEqual([job?.attempts, job?.result], [0, undefined])
    })
  })
})
