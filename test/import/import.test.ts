import assert from 'node:assert/strict'
import { ImportError, type ImportOptions, runImport } from '../../src/import/import.ts'
import type { CallbackType } from '../../src/jobs/job.ts'
import { goServiceOf } from '../../src/queue/import/go-service.ts'
import { RedisUnavailable } from '../../src/queue/redis.ts'
import { type GoService, goId, goServiceOn } from '../support/go-service.ts'
import { never, openQueue, recordingLog, type TestQueue } from '../support/queue.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

describe('import from the Go service', () => {
  let source: TestRedis
  let target: TestRedis
  before(async () => {
    source = await startRedis()
    target = await startRedis()
  })
  after(async () => {
    await source[Symbol.asyncDispose]()
    await target[Symbol.asyncDispose]()
  })
  afterEach(async () => {
    await source.cli('FLUSHALL')
    await target.cli('FLUSHALL')
  })

  /** A Go service with jobs, a queue of ours, and an import from the one into the other. */
  function both(options: { at?: TestRedis; db?: number } = {}) {
    const go = goServiceOn(options.at ?? source, options.db ?? 0)
    const q = openQueue(target)
    return {
      go,
      q,
      run: (more: Partial<ImportOptions> = {}) => importing(go, q, more),
      async [Symbol.asyncDispose]() {
        await go[Symbol.asyncDispose]()
        await q[Symbol.asyncDispose]()
      },
    }
  }

  async function importing(go: Pick<GoService, 'url'>, q: TestQueue, more: Partial<ImportOptions> = {}) {
    const lines: string[] = []
    const { log, logged } = recordingLog()
    const options = {
      from: { url: go.url, key_prefix: 'unused' },
      redis: q.config,
      backends: ['http'] satisfies CallbackType[],
      storage: 'filesystem',
      dryRun: false,
      stopped: false,
      log,
      ...more,
    }
    const clean = await runImport(options, (line) => lines.push(line), never)
    /** What the table says of a row. */
    const count = (name: string) => Number(lines.find((line) => line.startsWith(`${name}  `))?.slice(name.length))
    return { clean, lines, logged, count }
  }

  const claimed = async (q: TestQueue, room = 'downloads', groupLimit = 100) =>
    (await q.room({ name: room, groupLimit }).claim(100, never)).claims

  it('moves what is to be downloaded, with its aggregation and its attempts, and leaves nothing behind', async () => {
    await using t = both()
    const id = await t.go.post(
      {
        URL: 'https://origin.example/a?b=c',
        Extra: '{"a":1}',
        MimeType: 'image/*,!image/png',
        MaxRetries: '0',
        ExtractImageSize: '1',
        DownloadTimeout: '7',
        RequestHeaders: '{"Accept":"image/*","Host":"ignored.example"}',
      },
      { Limit: '3', Proxy: 'http://proxy.example:8080' },
    )
    await t.go.popJob('shop')
    await t.go.start(id)
    await t.go.requeue(id, -60)
    const { clean, count } = await t.run()
    assert.deepEqual({ clean, moved: count('downloads') }, { clean: true, moved: 1 })

    const { contents } = t.go
    assert.deepEqual(Object.keys(await contents()), ['aggr:shop', 'downloader-import:aggregations'])
    await t.q.check()
    const [claim] = await claimed(t.q)
    assert.equal(claim?.gift, 'http://proxy.example:8080')
    assert.equal(claim.job.id, id)
    assert.equal(claim.job.attempts, 1)
    const { createdMs, request } = claim.job
    assert.ok(Math.abs(createdMs - (Date.now() - 60_000)) < 5000, 'created when it was queued')
    assert.deepEqual(request, {
      aggrId: 'shop',
      aggrLimit: 3,
      aggrProxy: 'http://proxy.example:8080',
      url: 'https://origin.example/a?b=c',
      callbackType: 'http',
      callbackDst: 'http://receiver.example/callback',
      extra: '{"a":1}',
      mimeType: 'image/*,!image/png',
      maxRetries: 0,
      extractImageSize: true,
      downloadTimeoutS: 7,
      requestHeaders: { Accept: 'image/*' },
    })
  })

  it('keeps the limit of an aggregation, and the order and the times of its jobs', async () => {
    await using t = both()
    const later = await t.go.post({}, { Limit: '2' })
    const ids = [await t.go.post(), await t.go.post(), await t.go.post()]
    for (const [i, id] of ids.entries()) await t.go.redis.zadd('jobs:shop', 1_700_000_000 + i, id)
    const inAnHour = Math.floor(Date.now() / 1000) + 3600
    await t.go.redis.zadd('jobs:shop', inAnHour, later)
    await t.run()
    const { rooms } = await t.q.check()
    const pending = rooms.get('downloads')?.pending.get('shop')
    const expected = [...ids.map((id, i): [string, number] => [id, (1_700_000_000 + i) * 1000])]
    assert.deepEqual([...(pending ?? [])], [...expected, [later, inAnHour * 1000]])
    assert.deepEqual(
      (await claimed(t.q)).map(({ job }) => job.id),
      ids.slice(0, 2),
    )
  })

  it('gives jobs whose aggregation is gone the limit that the Go service gives them', async () => {
    await using t = both()
    await t.go.post()
    await t.go.redis.del('aggr:shop')
    await t.run()
    assert.equal((await claimed(t.q))[0]?.job.request?.aggrLimit, 4)
  })

  it('moves callbacks with the result as that service had it, at their time', async () => {
    await using t = both()
    const good = await t.go.post({ Extra: 'x' })
    const bad = await t.go.post({ CallbackURL: 'http://old.example/callback', CallbackType: '', CallbackDst: '' })
    const again = await t.go.post()
    for (const id of [good, bad, again]) {
      await t.go.popJob('shop')
      await t.go.start(id)
    }
    await t.go.finish(good, { ImageSize: '2x3' })
    const error = 'Error while processing response, Received status code 404 Not Found, retriable: false'
    await t.go.finish(bad, { DownloadState: 'Failed', DownloadMeta: error, ResponseCode: '404' })
    await t.go.finish(again)
    await t.go.redis.zrem('CallbackQueue', again)
    await t.go.call(again)
    await t.go.callAgain(again, 600)
    const { clean, count } = await t.run()
    assert.deepEqual({ clean, moved: count('callbacks') }, { clean: true, moved: 3 })
    const { rooms } = await t.q.check()
    const due = rooms.get('callbacks:http')?.pending.get('http://receiver.example:80')?.get(again) ?? 0
    assert.ok(Math.abs(due - Date.now() - 600_000) < 5000)

    const claims = await claimed(t.q, 'callbacks:http')
    const of = (id: string) => claims.find(({ job }) => job.id === id)
    assert.deepEqual(of(good)?.job.result, {
      success: true,
      error: '',
      errorCode: '',
      responseCode: 200,
      imageSize: '2x3',
      size: 0,
      sha256: '',
      mimeType: '',
      path: `${good.slice(0, 3)}/${good}`,
    })
    assert.equal(of(good)?.job.storage, 'filesystem')
    assert.equal(of(good)?.job.request?.extra, 'x')
    assert.equal(of(bad)?.group, 'http://old.example:80')
    assert.deepEqual(of(bad)?.job.result, {
      success: false,
      error,
      errorCode: 'http.404',
      responseCode: 404,
      imageSize: '',
      size: 0,
      sha256: '',
      mimeType: '',
    })
    await t.q.travel(601_000)
    const last = (await claimed(t.q, 'callbacks:http')).find(({ job }) => job.id === again)
    assert.equal(last?.job.deliveries, 1)
  })

  it('moves deletions, of which only the id is left', async () => {
    await using t = both()
    const id = await t.go.post()
    await t.go.popJob('shop')
    await t.go.delivered(id, 1800)
    const { clean, count } = await t.run()
    assert.deepEqual({ clean, moved: count('deletions') }, { clean: true, moved: 1 })
    await t.q.check()
    assert.deepEqual(await claimed(t.q, 'deletions:filesystem'), [])
    await t.q.travel(1_801_000)
    const [claim] = await claimed(t.q, 'deletions:filesystem')
    assert.equal(claim?.job.id, id)
    assert.equal(claim.job.result?.path, `${id.slice(0, 3)}/${id}`)
  })

  it('leaves what the Go service works on, until it is told that it is stopped', async () => {
    await using t = both()
    const popped = await t.go.post()
    const downloading = await t.go.post({ DownloadCount: '1' })
    const calling = await t.go.post()
    const undelivered = await t.go.post()
    const bucket = await t.go.post({ CallbackType: '', CallbackDst: '', S3Bucket: 'theirs', S3Region: 'eu-west-1' })
    for (let i = 0; i < 5; i++) await t.go.popJob('shop')
    await t.go.start(downloading)
    for (const id of [calling, undelivered]) {
      await t.go.finish(id)
      await t.go.popCallback()
      await t.go.call(id)
    }
    await t.go.callFailed(undelivered, 'Received Status: 500')
    await t.go.finish(bucket)

    const before = await t.go.contents()
    assert.equal((await t.run()).clean, true)
    assert.deepEqual(await t.go.contents(), before)

    const { clean, count } = await t.run({ stopped: true })
    assert.equal(clean, true)
    assert.deepEqual(
      ['interrupted downloads', 'interrupted callbacks', 'failed callbacks', 'finished, without a callback'].map(count),
      [2, 1, 1, 1],
    )
    assert.deepEqual(Object.keys(await t.go.contents()), ['aggr:shop'])
    const { rest } = await t.q.check()
    assert.deepEqual([...(rest.get('callback-failed')?.keys() ?? [])], [undelivered])
    assert.deepEqual([...(rest.get('done')?.keys() ?? [])], [bucket])
    const attempts = new Map((await claimed(t.q)).map(({ job }) => [job.id, job.attempts]))
    assert.deepEqual(
      attempts,
      new Map([
        [popped, 0],
        [downloading, 1],
      ]),
    )
    // nobody knows how its first attempt ended
    const callbacks = await claimed(t.q, 'callbacks:http')
    assert.deepEqual(
      callbacks.map(({ job }) => [job.id, job.deliveries]),
      [[calling, 0]],
    )
    assert.equal((await t.q.queue.find(undelivered))?.deliveryError, 'Received Status: 500')
    assert.equal(await t.q.queue.wake(undelivered, 'callback-failed', { kind: 'retried-by-hand' }), 'woken')
    await t.q.check()
  })

  const signs: [string, (go: GoService) => Promise<unknown>][] = [
    ['a connection', (go) => go.redis.client('SETNAME', 'processor')],
    ['a report', (go) => go.redis.set('stats:notifier', '{}')],
  ]
  for (const [sign, appear] of signs) {
    it(`does not believe that the Go service is stopped while there is ${sign} of it`, async () => {
      await using t = both()
      await t.go.post()
      await appear(t.go)
      const before = await t.go.contents()
      await assert.rejects(t.run({ stopped: true }), ImportError)
      assert.deepEqual(await t.go.contents(), before)
      assert.equal((await t.run()).count('downloads'), 1)
    })
  }

  it('only counts when it is told to', async () => {
    await using t = both()
    for (let i = 0; i < 3; i++) await t.go.post()
    await t.go.post({ URL: 'ftp://origin.example/' })
    const interrupted = await t.go.post()
    await t.go.redis.zrem('jobs:shop', interrupted)
    await t.go.start(interrupted)
    const taken = await t.go.post()
    await t.go.redis.zrem('jobs:shop', taken)
    await t.go.redis.zadd('downloader-import:downloads', 1, taken)
    const before = await t.go.contents()
    const { clean, lines, count } = await t.run({ dryRun: true, stopped: true })
    assert.equal(clean, false)
    assert.ok(lines.some((line) => /would be moved/.test(line)))
    // what an earlier import has taken is to be downloaded still
    assert.deepEqual([count('downloads'), count('interrupted downloads')], [4, 1])
    assert.equal(count('refused, left where they are'), 1)
    assert.deepEqual(await t.go.contents(), before)
    assert.deepEqual(await t.q.contents(), {})
  })

  const refusals: [string, Record<string, string>, RegExp][] = [
    ['a URL that is none of http', { URL: 'ftp://origin.example/' }, /url must be an http or https URL/],
    ['a backend that this deployment lacks', { CallbackType: 'kafka', CallbackDst: 'topic' }, /no backend kafka/],
    ['no callback at all', { CallbackType: '', CallbackDst: '' }, /callback_type/],
    ['a count that is no number', { DownloadCount: 'many' }, /DownloadCount is "many"/],
    ['headers that are no JSON', { RequestHeaders: '{' }, /RequestHeaders is not JSON/],
    ['an id that leads out of the folder', { ID: '../../etc/passwd' }, /the id is none/],
  ]
  for (const [what, fields, why] of refusals) {
    it(`leaves a job in the source, and names it, that has ${what}`, async () => {
      await using t = both()
      const id = await t.go.post(fields)
      const other = await t.go.post()
      const { clean, lines, count } = await t.run({ stopped: true })
      assert.equal(clean, false)
      assert.equal(count('refused, left where they are'), 1)
      const line = lines.find((line) => line.startsWith(`jobs:shop ${id}: `)) ?? ''
      assert.match(line, why)
      assert.equal(await t.go.redis.zscore('jobs:shop', other), null)
      assert.notEqual(await t.go.redis.zscore('jobs:shop', id), null)
      assert.equal(await t.go.redis.hget(`job:${id}`, 'DownloadState'), 'Pending')
      assert.deepEqual(
        (await claimed(t.q)).map(({ job }) => job.id),
        [other],
      )
    })
  }

  it('names what else it cannot move: a limit below 1, a callback without a download, a queue of another type', async () => {
    await using t = both()
    const limited = await t.go.post({ AggrID: 'none' }, { Limit: '0' })
    const early = goId()
    await t.go.redis.hset(`job:${early}`, { ID: early, DownloadState: 'InProgress' })
    const ghost = goId()
    await t.go.redis.zadd('CallbackQueue', 1, early, 1, ghost)
    await t.go.redis.lpush('jobs:list', 'x')
    const { clean, lines } = await t.run({ stopped: true })
    assert.equal(clean, false)
    const text = lines.join('\n')
    for (const line of [
      `jobs:none ${limited}: aggr_limit must be an integer of at least 1`,
      `CallbackQueue ${early}: DownloadState is "InProgress" in the queue of callbacks`,
      `CallbackQueue ${ghost}: there is no hash job:${ghost}: nothing of the job is left but its id`,
      'jobs:list: is no sorted set',
    ]) {
      assert.ok(text.includes(line), `${line} in\n${text}`)
    }
    assert.deepEqual(await t.q.contents(), {})
  })

  it('calls back what was downloaded, whatever our rules of downloading say', async () => {
    await using t = both()
    const id = await t.go.post({ URL: 'ftp://origin.example/', MimeType: '(((' })
    await t.go.popJob('shop')
    await t.go.finish(id, { DownloadState: 'Failed', DownloadMeta: 'unsupported protocol scheme', ResponseCode: '0' })
    assert.equal((await t.run()).clean, true)
    const [claim] = await claimed(t.q, 'callbacks:http')
    assert.equal(claim?.job.request?.url, 'ftp://origin.example/')
    assert.equal(claim.job.result?.errorCode, 'imported')
  })

  it('ignores fields that it does not know, and warns of those with a value, once', async () => {
    await using t = both()
    for (let i = 0; i < 3; i++) await t.go.post({ Priority: '7', Reserved: '' })
    const { clean, logged } = await t.run()
    assert.equal(clean, true)
    assert.deepEqual(
      logged.filter(({ field }) => field).map(({ field }) => field),
      ['Priority'],
    )
    assert.equal((await claimed(t.q)).length, 3)
  })

  it('understands the one header that older versions knew', async () => {
    await using t = both()
    const id = await t.go.post({ UserAgent: 'bot/1' })
    await t.go.redis.hdel(`job:${id}`, 'RequestHeaders', 'S3Bucket', 'S3Region', 'MaxRetries', 'DownloadURL')
    assert.equal((await t.run()).clean, true)
    assert.deepEqual((await claimed(t.q))[0]?.job.request?.requestHeaders, { 'User-Agent': 'bot/1' })
  })

  for (const db of [5, 0]) {
    it(`moves within one server, from database ${db} to 0`, async () => {
      await using go = goServiceOn(target, db)
      await using q = openQueue(target)
      const ids = [await go.post(), await go.post()].sort()
      assert.equal((await importing(go, q, { stopped: true })).count('downloads'), 2)
      assert.deepEqual((await claimed(q)).map(({ job }) => job.id).sort(), ids)
      await q.check()
    })
  }

  it('goes on where an import ended early: what was taken keeps its limit, though its aggregation is gone', async () => {
    await using t = both()
    const id = await t.go.post({}, { Limit: '9', Proxy: 'http://proxy.example:1' })
    // what an import does first; then the Go service sees an empty queue, and removes the aggregation
    await using taker = openQueue(source)
    await goServiceOf(taker.redis).take('downloads', 'jobs:shop', [id])
    await t.go.redis.del('aggr:shop')
    assert.equal((await t.run()).count('downloads'), 1)
    const [claim] = await claimed(t.q)
    assert.equal(claim?.job.request?.aggrLimit, 9)
    assert.equal(claim.gift, 'http://proxy.example:1')
  })

  it('does not double a job that ours has done with before the import could remove it', async () => {
    await using t = both()
    const id = await t.go.post()
    const { [`job:${id}`]: hash } = await t.go.contents()
    await t.run()
    const room = t.q.room()
    const [claim] = await t.q.claim(room)
    assert.ok(claim)
    await t.q.settle(room, claim, { kind: 'gone' })
    // as if the import had died before the last step
    await t.go.redis.hset(`job:${id}`, hash as Record<string, string>)
    await t.go.redis.zadd('downloader-import:downloads', 1, id)
    const { clean, count } = await t.run()
    assert.deepEqual(
      { clean, moved: count('downloads'), known: count('moved before') },
      { clean: true, moved: 0, known: 1 },
    )
    assert.deepEqual(await claimed(t.q), [])
    assert.equal(await t.go.redis.exists(`job:${id}`, 'downloader-import:downloads'), 0)
    await t.q.check()
  })

  it('gives back what was taken, when our configuration refuses it by now', async () => {
    await using t = both()
    const id = await t.go.post({ CallbackType: 'kafka', CallbackDst: 'topic' })
    await t.go.redis.zrem('jobs:shop', id)
    await t.go.redis.zadd('downloader-import:downloads', 1_700_000_000, id)
    assert.equal((await t.run()).clean, false)
    assert.equal(await t.go.redis.zscore('jobs:shop', id), '1700000000')
    assert.equal(await t.go.redis.exists('downloader-import:downloads'), 0)
  })

  it('shares the jobs with processors that go on popping: each job is with one of them', async () => {
    await using t = both()
    const ids = new Set<string>()
    const groups = ['a', 'b', 'c']
    for (let i = 0; i < 1500; i++) ids.add(await t.go.post({ AggrID: groups[i % 3] ?? '' }))
    const popped: string[] = []
    let importing = true
    const processors = groups.map(async (aggrId) => {
      while (importing) {
        const id = await t.go.popJob(aggrId)
        if (id) popped.push(id)
      }
    })
    const { clean, count } = await t.run()
    importing = false
    await Promise.all(processors)
    assert.equal(clean, true)
    const { requests } = await t.q.check()
    assert.ok(popped.length > 0 && requests.size > 0, `${popped.length} popped, ${requests.size} moved`)
    assert.equal(count('downloads'), requests.size)
    assert.equal(popped.length + requests.size, ids.size)
    assert.deepEqual(new Set([...popped, ...requests.keys()]), ids)
  })

  it('removes nothing before our Redis is as safe as it is configured to be', async () => {
    await using t = both()
    const id = await t.go.post()
    await assert.rejects(t.run({ redis: { ...t.q.config, wait_replicas: 1 } }), RedisUnavailable)
    assert.equal(await t.go.redis.exists(`job:${id}`, 'downloader-import:downloads'), 2)
    const { clean, count } = await t.run()
    assert.deepEqual({ clean, known: count('moved before') }, { clean: true, known: 1 })
    assert.equal(await t.go.redis.exists(`job:${id}`, 'downloader-import:downloads'), 0)
    assert.equal((await claimed(t.q)).length, 1)
  })

  it('gives up when a Redis is away, and loses nothing', async () => {
    await using lame = await startRedis({ appendonly: 'always' })
    await using t = both({ at: lame })
    for (let i = 0; i < 20; i++) await t.go.post()
    lame.pause()
    const patience = { patienceMs: 300 }
    await assert.rejects(t.run(patience), (error) => {
      return error instanceof RedisUnavailable && /the Redis of the Go service/.test(error.message)
    })
    lame.resume()
    assert.equal((await t.run()).count('downloads'), 20)
    await lame.kill()
    await assert.rejects(t.run(patience), RedisUnavailable)
  })
})
