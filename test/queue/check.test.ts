import assert from 'node:assert/strict'
import type { Place } from '../../src/jobs/places.ts'
import { booksOf } from '../../src/queue/books.ts'
import { checkQueue } from '../../src/queue/check/check.ts'
import { queueSuite, type TestQueue } from '../support/queue.ts'
import { startWorker } from '../support/worker.ts'

const toCallbacks: Place = { kind: 'room', room: 'callbacks:http', group: 'http://receiver.example:80' }

/** What is wrong, without what the keys begin with. */
async function findings(q: TestQueue, mend = false): Promise<string[]> {
  const found = new Set<string>()
  await checkQueue(q.redis, q.keys, {
    mend,
    onFinding: ({ key, what }) => found.add(`${key.slice(q.base.length)}: ${what}`),
  })
  return [...found].sort()
}

/** Jobs in every kind of place: pending now and later, claimed, at rest, in each room, gone. */
async function fill(q: TestQueue) {
  const downloads = q.room()
  const callbacks = q.room({ name: 'callbacks:http', groupLimit: 2 })
  for (const aggrId of ['cats', 'dogs', 'a : b\n{c}']) for (let i = 0; i < 5; i++) await q.add({ aggrId, aggrLimit: 3 })
  const claims = await q.claim(downloads, 7)
  const places: Place[] = [
    toCallbacks,
    toCallbacks,
    { kind: 'rest', reason: 'done' },
    { kind: 'gone' },
    { kind: 'again', delayMs: 5000 },
  ]
  for (const [i, place] of places.entries()) {
    const claim = claims[i]
    assert.ok(claim)
    await q.settle(downloads, claim, place, { attempts: 1 })
  }
  const [delivered] = await q.claim(callbacks, 1)
  assert.ok(delivered)
  await q.settle(callbacks, delivered, {
    kind: 'room',
    room: 'deletions:files',
    group: 'files',
    delayMs: 9000,
    shrink: true,
  })
  const [claimed] = await q.claim(downloads, 1)
  assert.ok(claimed)
  const pending = await q.add({ aggrId: 'cats' })
  const [rested = ''] = await q.redis.zrange(q.keys.rest('done'), '0', '0')
  return { claimed, pending, rested, group: claimed.group }
}

/** What can be broken by hand, what is said of it, and whether it can be mended. */
type Breakage = [
  name: string,
  destroy: (q: TestQueue, jobs: Awaited<ReturnType<typeof fill>>) => Promise<unknown>,
  said: RegExp,
]

const breakages: Breakage[] = [
  [
    'a tag of a job that does not rest',
    (q, { pending }) => q.redis.zadd(`${q.keys.rest('failed')}:of:cats`, 1, pending),
    /^rest:failed:of:cats: job \S+ does not rest$/m,
  ],
  [
    'a job that was taken out of its pending jobs',
    async (q, { pending }) => {
      await q.redis.zrem(`${q.base}downloads:pending:cats`, pending)
      await q.redis.hincrby(`${q.base}downloads`, 'pending', -1)
    },
    /^request:\S+: job \S+ is in no place$/m,
  ],
  [
    'a job that is pending and claimed',
    async (q, { claimed }) => {
      await q.redis.zadd(`${q.base}downloads:pending:${claimed.group}`, 0, claimed.job.id)
      await q.redis.hincrby(`${q.base}downloads`, 'pending', 1)
    },
    /is in 2 places: "pending downloads .*", "claimed downloads/,
  ],
  [
    'a job that is pending and at rest',
    (q, { pending }) => q.redis.zadd(q.keys.rest('failed'), 1, pending),
    /is in 2 places: "pending downloads cats", "rest failed"|is in 2 places: "rest failed", "pending/,
  ],
  [
    'a pending job whose record is gone',
    (q, { pending }) => q.redis.del(q.keys.request(pending)),
    /is "pending downloads cats", but has no record/,
  ],
  [
    'a claimed job whose record is gone',
    (q, { claimed }) => q.redis.del(q.keys.request(claimed.job.id), q.keys.state(claimed.job.id)),
    /is "claimed downloads .*", but has no record/,
  ],
  [
    'a resting job whose record is gone',
    (q, { rested }) => q.redis.del(q.keys.request(rested), q.keys.state(rested)),
    /is "rest done", but has no record/,
  ],
  [
    'a claim without a lease',
    (q, { claimed }) => q.redis.zrem(`${q.base}downloads:leases`, claimed.job.id),
    /^downloads:claims: job \S+ is claimed without a lease/m,
  ],
  [
    'a lease without a claim',
    (q, { pending }) => q.redis.zadd(`${q.base}downloads:leases`, 5e12, pending),
    /^downloads:claims: job \S+ has a lease, but no claim$/m,
  ],
  [
    'a claim that does not count',
    (q, { claimed }) => q.redis.srem(`${q.base}downloads:claimed:${claimed.group}`, claimed.job.id),
    /does not count against the limit of group/,
  ],
  [
    'a job that counts and is not claimed',
    (q, { group }) => q.redis.sadd(`${q.base}downloads:claimed:${group}`, 'nobody'),
    /counts job nobody, which is not claimed in it/,
  ],
  [
    'a job that counts no more and is not claimed',
    (q, { group }) => q.redis.sadd(`${q.base}downloads:left:${group}`, 'nobody'),
    /lets job nobody count no more, which is not claimed in it/,
  ],
  [
    'a group that nobody would ask',
    (q) => q.redis.del(`${q.base}downloads:line`),
    /could start jobs, but nobody would ask it/,
  ],
  [
    'a group that is due too late',
    (q) => q.redis.zadd(`${q.base}deletions:files:due`, 5e12, 'files'),
    /^deletions:files:groups: group "files" is due later than its first job$/m,
  ],
  [
    'a group in the line before its time',
    async (q) => {
      await q.redis.del(`${q.base}deletions:files:due`)
      await q.redis.zadd(`${q.base}deletions:files:line`, 0, 'files')
    },
    /stands in the line before its first job is due/,
  ],
  [
    'a group in the line and due',
    (q) => q.redis.zadd(`${q.base}deletions:files:line`, 0, 'files'),
    /stands in the line, and is due later/,
  ],
  [
    'a group in the line without jobs',
    (q) => q.redis.zadd(`${q.base}downloads:line`, 0, 'ghost'),
    /group "ghost" is to be served, but cannot start anything/,
  ],
  [
    'a group that is known without jobs',
    (q) => q.redis.hset(`${q.base}downloads:groups`, 'ghost', '3 '),
    /group "ghost" is known, but has no jobs/,
  ],
  [
    'a hold without jobs',
    (q) => q.redis.hset(`${q.base}downloads:holds`, 'ghost', '3'),
    /group "ghost" is held, but has no jobs/,
  ],
  [
    'a group whose limit is gone',
    (q, { group }) => q.redis.hdel(`${q.base}downloads:groups`, group),
    /has jobs, but no limit/,
  ],
  [
    'a room that counts wrong',
    (q) => q.redis.hincrby(`${q.base}downloads`, 'pending', 5),
    /^downloads: counts \d+ pending jobs, and has \d+$/m,
  ],
  [
    'a room that is not known',
    (q) => q.redis.srem(q.keys.rooms, 'callbacks:http'),
    /belongs to room callbacks:http, which is not among the rooms/,
  ],
  [
    'totals that do not add up',
    (q) => q.redis.hincrby(q.keys.totals, 'accepted', 3),
    /^totals: 19 accepted and 1 gone leave 18 jobs, but 15 are there$/m,
  ],
]

describe('checking the queue', () => {
  const { test } = queueSuite()

  test('finds nothing wrong in an empty deployment', async (q) => {
    assert.deepEqual(await findings(q), [])
  })

  test('finds nothing wrong where all is well, and changes nothing', async (q) => {
    await fill(q)
    const before = await q.contents()
    assert.deepEqual(await findings(q), [])
    assert.deepEqual(await findings(q, true), [])
    assert.deepEqual(await q.contents(), before)
  })

  for (const [name, destroy, said] of breakages) {
    test(`finds and mends ${name}`, async (q) => {
      const jobs = await fill(q)
      await destroy(q, jobs)
      const before = await q.contents()
      const wrong = await findings(q)
      assert.match(wrong.join('\n'), said)
      assert.deepEqual(await q.contents(), before, 'looking changes nothing')
      assert.match((await findings(q, true)).join('\n'), said)
      assert.deepEqual(await findings(q), [])
    })
  }

  test('mends a lost limit with what the jobs brought', async (q) => {
    await q.add({ aggrId: 'cats', aggrLimit: 7, aggrProxy: 'http://proxy.example/' })
    await q.redis.hdel(`${q.base}downloads:groups`, 'cats')
    await findings(q, true)
    assert.equal(await q.redis.hget(`${q.base}downloads:groups`, 'cats'), '7 http://proxy.example/')
  })

  test('lets a job that was lost after its download go on with its callback', async (q) => {
    const room = q.room()
    const id = await q.add()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, toCallbacks, { result: { ...result, path: 'abc/abc' } })
    await q.redis.zrem(`${q.base}callbacks:http:pending:${toCallbacks.group}`, id)
    await findings(q, true)
    const [delivery] = await q.claim(q.room({ name: 'callbacks:http', groupLimit: 1 }))
    assert.equal(delivery?.job.id, id)
  })

  test('names keys that are none of ours, or of another type', async (q) => {
    await q.redis.set(`${q.base}what`, '1')
    await q.redis.set(`${q.base}rest:bored`, '1')
    await q.redis.set(`${q.base}downloads:line`, '1')
    assert.deepEqual(await findings(q), [
      'downloads:line: is a string, and should be a zset',
      'rest:bored: is no key of ours',
      'what: is no key of ours',
    ])
    await q.redis.del(`${q.base}what`, `${q.base}rest:bored`, `${q.base}downloads:line`)
  })

  test('finds nothing wrong with a room whose workers wait for its first job', async (q) => {
    await q.claim(q.room({ name: 'callbacks:kafka', groupLimit: 1 }))
    await q.claim(q.room({ name: 'deletions:s3:bucket', groupLimit: 1 }))
    assert.deepEqual(await findings(q), [])
  })

  test('finds a job where nobody would expect it, rather than call it lost', async (q) => {
    const room = q.room()
    const id = await q.add({ aggrId: 'cats' })
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(room, claim, { kind: 'room', room: 'callbacks:sqs', group: 'elsewhere' })
    assert.deepEqual(await findings(q), [])
    assert.deepEqual((await q.queue.find(id))?.id, id)
  })

  test('finds nothing wrong while jobs run through the rooms', async (q) => {
    await using worker = startWorker(q, {
      async run({ claim: { job } }) {
        return job.attempts === 0 ? { kind: 'download-retry', delayMs: 1 } : { kind: 'deleted' }
      },
    })
    let adding = true
    const added = (async () => {
      for (let i = 0; adding; i++) {
        await q.add({ aggrId: `group ${i % 40}`, aggrLimit: 2 })
        // claims and their ends must keep up with what is added
        if (i % 200 === 199) while ((await booksOf(q.redis, q.keys)).rooms.some(({ pending }) => pending > 300));
      }
    })()
    for (let i = 0; i < 10; i++) assert.deepEqual(await findings(q), [])
    adding = false
    await added
    await worker.stop()
  })

  test('adds the books up at any moment', async (q) => {
    await fill(q)
    assert.deepEqual(await booksOf(q.redis, q.keys), {
      accepted: 16,
      gone: 1,
      rooms: [
        { room: 'callbacks:http', pending: 1, claimed: 0 },
        { room: 'deletions:files', pending: 1, claimed: 0 },
        { room: 'downloads', pending: 9, claimed: 3 },
      ],
      rest: { done: 1, failed: 0, 'callback-failed': 0, cancelled: 0 },
      hosts: { watched: 0, open: 0 },
      unaccounted: 0,
    })
  })
})

const result = {
  success: true,
  error: '',
  errorCode: '' as const,
  responseCode: 200,
  imageSize: '',
  size: 1,
  sha256: '',
  mimeType: 'text/plain',
}
