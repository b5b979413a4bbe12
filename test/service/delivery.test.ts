import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Received, type Receiver, startReceiver } from '../support/http-receiver.ts'
import { startLenientApi } from '../support/lenient-api.ts'
import { type Service, startService } from '../support/service.ts'

const BACKOFF_MS = 100
const RETRIES = 3
const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

const fileOf = ({ root }: Service, id: string) => path.join(root, id.slice(0, 3), id)

describe('a callback over HTTP', () => {
  let service: Service
  let origin: Origin
  let url: string
  /** When each job's callback came, by `performance.now()`. */
  const times = new Map<string, number[]>()

  before(async () => {
    origin = await startOrigin()
    url = origin.on('/file', 'content')
    service = await startService({
      roles: ['start'],
      config: {
        processor: { download_url: undefined },
        notifier: { max_retries: RETRIES, retry_backoff_ms: BACKOFF_MS, download_url: 'http://fallback.test' },
        backends: { http: { timeout: 0.3, signing_secret: SECRET } },
      },
    })
    service.receiver.answer = (received) => {
      const { job_id } = received.callback
      times.set(job_id, [...(times.get(job_id) ?? []), performance.now()])
      return statusOf(received, times.get(job_id)?.length ?? 1)
    }
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  /** The path says what is answered: `/<status>` always, `/<status>/<times>` so often and then 200, `/silence` nothing. */
  function statusOf({ path }: Received, time: number): number | undefined {
    const [, what = '', failures] = path.split('/')
    if (what === 'silence') return undefined
    return failures === undefined || time <= Number(failures) ? Number(what) || 200 : 200
  }

  const receiver = (path: string) => service.receiver.url.replace(/\/callback$/, path)
  const callbacksOf = (id: string) => service.receiver.received.filter(({ callback }) => callback.job_id === id)
  const logged = (msg: string, id: string, attempt: number) =>
    service.role('start').logged((line) => line.msg === msg && line.job_id === id && line.attempt === attempt)

  for (const status of [200, 201, 202, 204, 299]) {
    it(`is delivered by ${status}`, async () => {
      const id = await service.enqueue({ url, callback_dst: receiver(`/${status}`) })
      await logged('callback delivered', id, 1)
      assert.equal(callbacksOf(id).length, 1)
    })
  }

  for (const status of [301, 307, 400, 404, 410, 429, 500, 503]) {
    it(`is sent again after ${status}, the same as before`, async () => {
      const id = await service.enqueue({ url, callback_dst: receiver(`/${status}/1`) })
      await logged('callback delivered', id, 2)
      const [first, second] = callbacksOf(id)
      assert.equal(callbacksOf(id).length, 2)
      assert.equal(second?.body, first?.body)
      assert.deepEqual([second?.callback.delivered, second?.callback.delivery_error], [true, ''])
    })
  }

  it('is sent again when no answer comes within backends.http.timeout', async () => {
    const id = await service.enqueue({ url, callback_dst: receiver('/silence') })
    const { code, error } = await logged('callback failed', id, 1)
    assert.equal(code, 'receiver.timeout')
    assert.match(String(error), /within 0\.3 s/)
    await eventually(() => assert.equal(callbacksOf(id).length, 2))
  })

  it('is signed by the rules of Standard Webhooks, with one id for all attempts', async () => {
    const id = await service.enqueue({ url, callback_dst: receiver('/500/1') })
    await logged('callback delivered', id, 2)
    for (const { headers, body } of callbacksOf(id)) {
      const key = Buffer.from(SECRET.slice('whsec_'.length), 'base64')
      const content = `${id}.${headers['webhook-timestamp']}.${body}`
      assert.equal(headers['webhook-id'], id)
      assert.equal(headers['webhook-signature'], `v1,${createHmac('sha256', key).update(content).digest('base64')}`)
      assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 60)
    }
  })

  it('carries the Basic authorization of the credentials in its destination', async () => {
    const id = await service.enqueue({ url, callback_dst: receiver('/200').replace('//', '//me:pass%20word@') })
    await service.receiver.callbackOf(id)
    const [received] = callbacksOf(id)
    assert.equal(received?.headers.authorization, `Basic ${Buffer.from('me:pass word').toString('base64')}`)
  })

  it('falls back to the download_url of the notifier', async () => {
    const { download_url, job_id } = await service.download({ url })
    assert.equal(download_url, `http://fallback.test/${job_id.slice(0, 3)}/${job_id}`)
  })

  it('goes to callback_url, before callback_type and callback_dst', async () => {
    const id = await service.enqueue({ url, callback_url: receiver('/old'), callback_dst: receiver('/new') })
    await service.receiver.callbackOf(id)
    assert.deepEqual(
      callbacksOf(id).map(({ path }) => path),
      ['/old'],
    )
  })

  it('of a failure goes to callback_error_dst, that of a success does not', async () => {
    for (const [job, expected] of [
      [{ url: `${origin.url}/absent` }, '/errors'],
      [{ url }, '/fine'],
    ] as const) {
      for (const type of [{}, { callback_error_type: 'http' }, { callback_error_type: '' }]) {
        const dst = { callback_dst: receiver('/fine'), callback_error_dst: receiver('/errors') }
        const id = await service.enqueue({ ...job, ...dst, ...type })
        await service.receiver.callbackOf(id)
        assert.deepEqual(
          callbacksOf(id).map(({ path }) => path),
          [expected],
        )
      }
    }
  })

  it('of a failure goes to callback_dst where there is no other', async () => {
    const id = await service.enqueue({ url: `${origin.url}/absent`, callback_error_dst: '' })
    assert.equal((await service.receiver.callbackOf(id)).success, false)
  })

  it('is tried at intervals that double, then fails and rests until POST /retry', async () => {
    const id = await service.enqueue({ url, callback_dst: receiver(`/500/${RETRIES + 2}`) })
    await logged('callback failed', id, 1)
    const early = await service.post(`/retry/${id}`)
    assert.equal(early.status, 409, 'it has not failed yet')
    await logged('callback failed', id, RETRIES + 1)
    const at = times.get(id) ?? []
    for (let n = 1; n <= RETRIES; n++) {
      const gap = (at[n] ?? 0) - (at[n - 1] ?? 0)
      const expected = BACKOFF_MS * 2 ** (n - 1)
      assert.ok(gap >= expected * 0.9, `retry ${n} after ${gap} ms`)
    }
    assert.ok(existsSync(fileOf(service, id)), 'the file waits with it')

    const retried = await eventually(async () => {
      const response = await service.post(`/retry/${id}`)
      assert.equal(response.status, 201) // the log may be a moment ahead of Redis
      return response
    })
    assert.equal(retried.status, 201)
    await eventually(() => assert.equal(callbacksOf(id).length, RETRIES + 3))
    assert.equal((await service.post(`/retry/${id}`)).status, 409)
    const bodies = new Set(callbacksOf(id).map(({ body }) => body))
    assert.equal(bodies.size, 1, 'also by hand it is the same callback')
    assert.equal((await service.post(`/retry/${id}`)).status, 409)
  })

  it('fails at once where it must not go: link-local and metadata addresses', async () => {
    await using lenient = await startLenientApi(service)
    for (const host of ['169.254.169.254', '[fe80::1]', '[::ffff:169.254.169.254]', '100.100.100.200']) {
      const id = await lenient.enqueue({ url, callback_dst: `http://${host}/` })
      const { code } = await logged('callback failed', id, 1)
      assert.equal(code, 'receiver.refused')
      await eventually(async () => assert.equal((await service.post(`/retry/${id}`)).status, 201))
      const again = service.role('start').logs.filter(({ attempt, job_id }) => job_id === id && attempt === 2)
      assert.deepEqual(again, [], 'it is not tried again by itself')
    }
  })

  it('fails at once where its destination is no URL, and the file is not downloaded again', async () => {
    await using corrupted = await startService({ roles: ['api'] })
    const id = await corrupted.enqueue({ url: origin.on('/once', 'content') })
    const key = `{downloader}:request:${id}`
    const request = JSON.parse(await corrupted.redis.cli('GET', key))
    await corrupted.redis.cli('SET', key, JSON.stringify({ ...request, d: 'http://[' }))
    for (const name of ['processor', 'notifier']) await corrupted.add(name)
    const { code } = await corrupted.role('notifier').logged(({ job_id }) => job_id === id)
    assert.equal(code, 'receiver.refused')
    assert.equal(origin.requests.filter(({ url }) => url === '/once').length, 1)
    await eventually(async () => assert.equal((await corrupted.post(`/retry/${id}`)).status, 201))
  })

  it('fails and rests when its notifier died with it too often', async () => {
    await using fragile = await startService({
      config: { notifier: { lease_ms: 1500, max_stalls: 2, max_retries: 0 } },
    })
    fragile.receiver.answer = () => undefined
    const id = await fragile.enqueue({ url })
    for (let kills = 1; kills <= 2; kills++) {
      await fragile.receiver.count(kills)
      await fragile.roles.findLast(({ name }) => name === 'notifier')?.end('SIGKILL')
      await fragile.add('notifier')
    }
    const last = fragile.roles.findLast(({ name }) => name === 'notifier')
    await last?.logged(({ code, job_id }) => code === 'worker.stalled' && job_id === id)
    assert.equal(fragile.receiver.received.length, 2)
    fragile.receiver.answer = () => 200
    await eventually(async () => assert.equal((await fragile.post(`/retry/${id}`)).status, 201))
    await fragile.receiver.count(3)
  })

  it('that does not end within the grace is handed back, and delivered by the next notifier', async () => {
    await using stopping = await startService({ config: { notifier: { shutdown_grace_ms: 50, max_retries: 0 } } })
    stopping.receiver.answer = () => undefined
    const id = await stopping.enqueue({ url })
    await stopping.receiver.count(1)
    assert.equal(await stopping.role('notifier').end('SIGTERM'), 0)
    stopping.receiver.answer = () => 200
    const next = await stopping.add('notifier')
    const { attempt } = await next.logged(({ msg, job_id }) => msg === 'callback delivered' && job_id === id)
    assert.equal(attempt, 1)
  })
})

describe('after delivery', () => {
  it('the file is deleted when notifier.deletion_interval is over, and the job is not known any more', async () => {
    await using origin = await startOrigin()
    const deletion_interval = 0.01 // minutes
    await using service = await startService({ roles: ['start'], config: { notifier: { deletion_interval } } })
    const { job_id: id } = await service.download({ url: origin.on('/file', 'content') })
    const delivered = performance.now()
    await eventually(() => assert.equal(existsSync(fileOf(service, id)), false))
    const after = performance.now() - delivered
    assert.ok(after >= deletion_interval * 60_000 - 50, `deleted after ${after} ms`)
    await eventually(async () => assert.equal((await service.post(`/retry/${id}`)).status, 404))
  })
})

describe('the limits of the notifier', () => {
  let origin: Origin
  let url: string
  let first: Receiver
  let second: Receiver

  before(async () => {
    origin = await startOrigin()
    url = origin.on('/file', 'content')
  })
  after(() => origin[Symbol.asyncDispose]())
  beforeEach(async () => {
    first = await startReceiver()
    second = await startReceiver()
    for (const receiver of [first, second]) receiver.answer = () => undefined
  })
  afterEach(async () => {
    await first[Symbol.asyncDispose]()
    await second[Symbol.asyncDispose]()
  })

  async function enqueueAll(service: Service, each: number) {
    const all = [first, second].flatMap((receiver) =>
      Array.from({ length: each }, () => service.enqueue({ url, aggr_limit: 20, callback_dst: receiver.url })),
    )
    await Promise.all(all)
  }
  const settled = (service: Service, downloads: number) =>
    eventually(() => {
      const lines = service.roles.flatMap(({ logs }) => logs).filter(({ msg }) => msg === 'downloaded')
      assert.equal(lines.length, downloads)
    })

  it('receiver_concurrency holds for each receiver, over all notifiers', async () => {
    await using service = await startService({
      roles: ['api', 'processor', 'notifier', 'notifier'],
      config: { notifier: { receiver_concurrency: 3, concurrency: 50 } },
    })
    await enqueueAll(service, 10)
    await settled(service, 20)
    await Promise.all([first.count(3), second.count(3)])
    // what was not sent by now, with all notifiers awake, waits for an answer
    const { url: free } = service.receiver
    await service.receiver.callbackOf(await service.enqueue({ url, callback_dst: free }))
    assert.deepEqual([first.received.length, second.received.length], [3, 3])
  })

  it('max_in_flight holds for all receivers of one notifier', async () => {
    await using service = await startService({ roles: ['start'], config: { notifier: { max_in_flight: 4 } } })
    await enqueueAll(service, 10)
    await settled(service, 20)
    await eventually(() => assert.equal(first.received.length + second.received.length, 4))
    await delay(200) // long enough for a fifth, if there were one
    assert.equal(first.received.length + second.received.length, 4)
  })
})
