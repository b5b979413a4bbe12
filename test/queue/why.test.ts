import assert from 'node:assert/strict'
import type { Verdict } from '../../src/jobs/places.ts'
import { type ReasonCode, reasonCodes, reasonsOf } from '../../src/jobs/why.ts'
import { instancesOf } from '../../src/queue/instances.ts'
import { jobsOf } from '../../src/queue/jobs.ts'
import type { Claim } from '../../src/queue/room.ts'
import { queueSuite, type TestQueue } from '../support/queue.ts'

const horizons = { silentMs: 10_000, downloadRetries: 2, deliveryRetries: 5 }

describe('why a job waits', () => {
  const { test } = queueSuite()
  const told = new Set<ReasonCode>()

  async function whyOf(q: TestQueue, id: string) {
    const jobs = jobsOf(q.redis, q.keys, q.queue)
    const sighting = await jobs.look(id)
    assert.ok(sighting)
    const waiting = await jobs.why(sighting, horizons)
    assert.ok(waiting)
    const [{ code, text }, ...also] = reasonsOf(waiting)
    told.add(code)
    return { code, text, also: also.map(({ code }) => code), waiting }
  }
  /** A worker that has nothing to do calls. */
  const alive = (q: TestQueue, name = 'downloads') =>
    q.claim(q.room({ name, groupLimit: name === 'downloads' ? 0 : 1 }), 0)

  /** The last one in `group`: jobs of one millisecond are in no known order. */
  const last = async (q: TestQueue) =>
    (await q.redis.zrange(`${q.keys.room('downloads')}:pending:group`, '-1', '-1'))[0] ?? ''

  test('no worker of its room has called', async (q) => {
    const id = await q.add()
    assert.equal((await whyOf(q, id)).code, 'no_worker')
    await alive(q)
    assert.equal((await whyOf(q, id)).code, 'worker_busy')
    await q.redis.zadd(`${q.keys.room('downloads')}:workers`, Date.now() - 11_000, 'killed')
    await q.redis.zremrangebyrank(`${q.keys.room('downloads')}:workers`, 1, -1)
    assert.equal((await whyOf(q, id)).code, 'no_worker')
  })

  test('every disk that it could go to is full', async (q) => {
    const id = await q.add()
    const about = { host: 'h', pid: 1, version: '1', since_ms: 0, running: 0, concurrency: 1, cpu: 0, memory: 0 }
    const processors = instancesOf(q.redis, q.keys, 'processor')
    await processors.report('one', {}, 5000, { ...about, disk_full: true })
    await processors.report('two', {}, 5000, { ...about, disk_full: true })
    const { code, text, also } = await whyOf(q, id)
    assert.deepEqual([code, also], ['disk_full', ['no_worker']])
    assert.match(text, /^the disk of 2 processors is nearly full/)
    await alive(q) // a third one
    assert.equal((await whyOf(q, id)).code, 'worker_busy')
  })

  test('it is next, and every worker is busy', async (q) => {
    const ids = [await q.add({ aggrId: 'a' }), await q.add({ aggrId: 'b' })]
    await alive(q)
    const { code, text, waiting } = await whyOf(q, ids[1] ?? '')
    assert.equal(code, 'worker_busy')
    assert.match(text, /one of 1 processor has a place for it; 1 other group before its own/)
    assert.equal(waiting.ahead, 0)
  })

  test('others of its aggregation are before it', async (q) => {
    for (let i = 0; i < 3; i++) await q.add({ aggrLimit: 5 })
    await alive(q)
    const { code, text, waiting } = await whyOf(q, await last(q))
    assert.deepEqual([code, text], ['behind', '2 jobs of its aggregation before it'])
    assert.equal(waiting.pending, 3)
  })

  test('the cap is full, and these jobs fill it', async (q) => {
    for (let i = 0; i < 4; i++) await q.add({ aggrLimit: 2 })
    const room = q.room()
    const claims = await q.claim(room, 10)
    const id = await last(q)
    const { code, text, also, waiting } = await whyOf(q, id)
    assert.deepEqual([code, text], ['full', 'its aggregation runs 2 of at most 2 at once; 1 job before it'])
    assert.deepEqual(waiting.runningJobs.sort(), claims.map(({ job }) => job.id).sort())
    assert.deepEqual(also, ['behind'])
    const [left] = claims
    assert.ok(left)
    await room.claim(0, new AbortController().signal, [left]) // it counts no more, and so it is not named
    assert.deepEqual((await whyOf(q, id)).waiting.runningJobs, [claims[1]?.job.id])
    assert.equal((await whyOf(q, id)).code, 'behind')
  })

  test('an operator has paused the aggregation, or set its limit', async (q) => {
    const id = await q.add({ aggrLimit: 7 })
    await alive(q)
    await q.queue.adjust('downloads', 'group', { paused: true, limit: 3 })
    const { code, text, waiting } = await whyOf(q, id)
    assert.deepEqual([code, text], ['paused', 'its aggregation is paused'])
    assert.equal(waiting.limit, 3)
  })

  test('it failed, and is tried again later', async (q) => {
    const id = await q.add({ maxRetries: 4 })
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, { kind: 'again', delayMs: 60_000 }, { attempts: 1 })
    const { code, text } = await whyOf(q, id)
    assert.deepEqual([code, text], ['retry_later', 'it failed, and retry 1 of 4 starts in 60 s'])
  })

  test('its caller wants it later', async (q) => {
    const id = await q.add({ notBeforeMs: Date.now() + 60_000 })
    await alive(q)
    const { code, text, also } = await whyOf(q, id)
    assert.equal(code, 'not_before')
    assert.match(text, /^it must not start for (60|59) s$/)
    assert.deepEqual(also, [])
  })

  test('its receiver has to wait, or asked for it', async (q) => {
    const ids = [await q.add(), await q.add()]
    const room = q.room()
    const receiver = 'http://receiver.example:80'
    for (const claim of await q.claim(room, 2)) {
      await q.settle(room, claim, { kind: 'room', room: 'callbacks:http', group: receiver })
    }
    const callbacks = q.room({ name: 'callbacks:http', groupLimit: 5 })
    const [one] = await q.claim(callbacks)
    assert.ok(one)
    await q.settle(callbacks, one, { kind: 'again', delayMs: 90_000, holdMs: 30_000 }, { deliveries: 1 })
    const other = ids.find((id) => id !== one.job.id) ?? ''
    const { code, text, waiting } = await whyOf(q, other)
    assert.deepEqual([code, waiting.group, waiting.limit], ['held', receiver, 5])
    assert.match(text, /^its receiver was asked to wait \(Retry-After\): nothing of it starts for (30|29) s$/)
    assert.match((await whyOf(q, one.job.id)).text, /retry 1 of 5 starts in 90 s/)
  })

  test('its origin found it too fast, and it is no failure', async (q) => {
    const id = await q.add()
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, { kind: 'again', delayMs: 8000 }, { throttles: 3 })
    const { code, text } = await whyOf(q, id)
    assert.deepEqual([code, text], ['throttled', 'its origin took no more requests, and it is tried again in 8 s'])
  })

  test('its aggregation has a rate', async (q) => {
    await q.add({ aggrRate: 0.5, aggrBurst: 1 })
    const id = await q.add()
    const claims = await q.claim(q.room(), 5)
    assert.equal(claims.length, 1)
    const waiting = claims[0]?.job.id === id ? await last(q) : id
    const { code, text } = await whyOf(q, waiting)
    assert.deepEqual(
      [code, text],
      ['rate', 'its aggregation begins 0.5 a second, and the next one in 2 s; it is the next'],
    )
  })

  test('its host is asked for as much at once as it may be', async (q) => {
    for (let i = 0; i < 3; i++) await q.add()
    const room = q.room({ hostLimit: 2 })
    assert.equal((await q.claim(room, 5)).length, 2)
    const [id = ''] = await q.redis.zrange(`${q.keys.room('downloads')}:pending:group\0origin.example`, '0', '-1')
    const { code, text } = await whyOf(q, id)
    assert.equal(code, 'host_full')
    assert.equal(text, 'origin.example is asked for 2 of at most 2 files at once; it is the next')
  })

  test('its host asked for time, is slow, or down', async (q) => {
    const room = q.room()
    const url = 'http://origin.example/file'
    const says = (claim: Claim, says: Verdict['says'], holdMs = 0) =>
      room.settle(
        claim,
        { place: { kind: 'gone', holdMs }, patch: {}, verdict: { host: 'origin.example', says } },
        new AbortController().signal,
      )
    const next = async () => {
      await q.add({ url })
      const [claim] = await q.claim(room)
      assert.ok(claim)
      return claim
    }
    await says(await next(), '', 5000)
    const id = await q.add({ url })
    assert.deepEqual(await q.claim(room), [])
    const held = await whyOf(q, id)
    assert.equal(held.code, 'host_held')
    assert.match(held.text, /^origin\.example asked to be left alone \(Retry-After\): .* nothing for [45] s$/)
    assert.equal(held.waiting.host?.name, 'origin.example')
    await q.travel(5000)
    const [claim] = await q.claim(room)
    assert.ok(claim)

    await says(claim, 'throttled')
    for (let i = 0; i < 3; i++) await says(await next(), 'throttled')
    const slow = await next()
    const later = await q.add({ url })
    assert.deepEqual(await q.claim(room), [])
    assert.equal((await whyOf(q, later)).code, 'host_slow')
    assert.match((await whyOf(q, later)).text, /takes about 1\.\d requests a second, .*; it is the next$/)

    await says(slow, 'ok')
    for (let i = 0; i < 10; i++) {
      await q.travel(60_000)
      const [claim] = await q.claim(room)
      assert.ok(claim)
      await q.add({ url })
      await says(claim, 'down')
    }
    const down = await q.add({ url })
    assert.deepEqual(await q.claim(room), [])
    assert.match((await whyOf(q, down)).text, /^origin\.example is down, .*: it is tried again in [45] s$/)
  })

  test('its file is kept for a time', async (q) => {
    const id = await q.add()
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    const place = { kind: 'room', room: 'deletions:files', group: 'files', delayMs: 3_600_000, shrink: true } as const
    await q.settle(room, claim, place, { storage: 'files' })
    await alive(q, 'deletions:files')
    const { code, text } = await whyOf(q, id)
    assert.deepEqual([code, text], ['scheduled', 'its file is kept: it is deleted in 60 min'])
  })

  test('the room is closed after a failover', async (q) => {
    const id = await q.add()
    await alive(q)
    await q.redis.hset(q.keys.room('downloads'), 'opens', Date.now() + 20_000, 'since', 0)
    assert.equal((await whyOf(q, id)).code, 'room_closed')
    await q.redis.hdel(q.keys.room('downloads'), 'opens', 'since')
  })

  it('is told for every reason in a test above', () => {
    assert.deepEqual([...told].sort(), [...reasonCodes].sort())
  })

  test('is answered at once, and costs the same, with 20,000 jobs before it', async (q) => {
    const BATCH = 1000
    const fields = { aggrLimit: 1 }
    for (let i = 0; i < 20_000; i += BATCH) await Promise.all(Array.from({ length: BATCH }, () => q.add(fields)))
    await q.claim(q.room())
    const id = await last(q)
    const begin = performance.now()
    assert.equal((await whyOf(q, id)).waiting.ahead, 19_998)
    assert.ok(performance.now() - begin < 50, `${performance.now() - begin} ms`)
  })
})
