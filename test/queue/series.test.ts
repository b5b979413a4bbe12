import assert from 'node:assert/strict'
import { restingTags } from '../../src/queue/resting-tags.ts'
import { seriesOf } from '../../src/queue/series.ts'
import { queueSuite } from '../support/queue.ts'

describe('what happened over time', () => {
  const { test } = queueSuite()

  test('is added up over all who write, by minute and by ten minutes', async (q) => {
    const series = seriesOf(q.redis, q.keys)
    await q.add()
    await series.write({ counters: { downloaded: 2, bytes: 10, max_wait_ms: 70 }, failures: [] })
    await series.write({ counters: { downloaded: 3, failed: 1, max_wait_ms: 50 }, failures: [] })
    for (const [span, count, stepMs] of [
      ['hour', 60, 60_000],
      ['day', 144, 600_000],
    ] as const) {
      const { points, ...of } = await series.points(span)
      assert.deepEqual([points.length, of.stepMs], [count, stepMs])
      const sum = (name: 'downloaded' | 'failed') => points.reduce((all, { values }) => all + (values[name] ?? 0), 0)
      assert.deepEqual([sum('downloaded'), sum('failed')], [5, 1])
      const last = points.findLast(({ values }) => values.pending !== undefined)
      assert.deepEqual([last?.values.pending, last?.values.callbacks_pending], [1, 0])
      assert.equal(Math.max(...points.map(({ values }) => values.max_wait_ms ?? 0)), 70)
    }
  })

  test('takes bounded space, and goes by itself', async (q) => {
    const series = seriesOf(q.redis, q.keys)
    for (let batch = 0; batch < 10; batch++) {
      const failures = Array.from({ length: 100 }, (_, i) => {
        return { step: 'download' as const, code: 'http.500', host: `host-${batch}-${i}`, count: 1 }
      })
      await series.write({ counters: {}, failures })
    }
    const failures = await series.failures('hour')
    assert.ok(failures.length <= 2 * 301, `${failures.length} kinds`) // the ten minutes may end meanwhile
    assert.equal(
      failures.reduce((sum, { count }) => sum + count, 0),
      1000,
    )
    assert.deepEqual([failures[0]?.host, failures[0]?.code, failures[0]?.step], ['', 'http.500', 'download'])
    for (const key of await q.redis.keys(`${q.keys.series.replace(/[{}]/g, '?')}:*`)) {
      const leftMs = await q.redis.pttl(key)
      assert.ok(leftMs > 0 && leftMs <= 25 * 3_600_000, `${key}: ${leftMs}`)
    }
  })

  test('has the codes and receivers of what rests, as long as something does', async (q) => {
    const room = q.room()
    await q.add()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    const tags = ['of:group', 'code:receiver.status', 'to:http://receiver.test:80']
    await q.settle(room, claim, { kind: 'rest', reason: 'callback-failed' }, { tags })
    const found = await restingTags(q.redis, q.keys, 'callback-failed')
    assert.deepEqual(
      found.sort((a, b) => (a.tag < b.tag ? -1 : 1)),
      tags.slice(1).map((tag) => ({ tag, count: 1 })),
    )
    await q.redis.mendJob(q.keys.totals, claim.job.id, 'take', 'rest', 'callback-failed')
    assert.deepEqual(await restingTags(q.redis, q.keys, 'callback-failed'), [])
    assert.equal(await q.redis.exists(q.keys.tags('callback-failed')), 0)
    await q.redis.mendJob(q.keys.totals, claim.job.id, 'rest', 'callback-failed')
  })
})
