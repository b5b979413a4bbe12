import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { until } from '../support/queue.ts'
import { type Service, startService } from '../support/service.ts'

describe('politeness', () => {
  let service: Service
  const origins: Origin[] = []

  before(async () => {
    service = await startService({
      roles: ['api', 'processor', 'processor', 'notifier'],
      config: { processor: { max_retries: 0, host_limit: 6 } },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    for (const origin of origins) await origin[Symbol.asyncDispose]()
  })

  async function newOrigin(): Promise<Origin> {
    const origin = await startOrigin()
    origins.push(origin)
    return origin
  }

  it('loses no job to an origin that refuses most of a storm, and lets the healthy one beside it go on', async () => {
    const slow = await newOrigin()
    const healthy = await newOrigin()
    const LIMIT = 20
    let tokens = LIMIT
    let refused = 0
    const filling = setInterval(() => {
      tokens = Math.min(LIMIT, tokens + LIMIT / 20)
    }, 50)
    const url = slow.on('/file', (_request, response) => {
      if (tokens >= 1) {
        tokens--
        return void response.end('content')
      }
      refused++
      response.writeHead(429, { 'retry-after': '1' }).end()
    })
    const JOBS = 80
    const group = { aggr_id: 'mixed', aggr_limit: 40, max_retries: 0 }
    const ids = await Promise.all(Array.from({ length: JOBS }, () => service.enqueue({ ...group, url })))
    const others = await Promise.all(
      Array.from({ length: 40 }, (_, i) => {
        return service.enqueue({
          ...group,
          url: healthy.on(`/${i}`, (_request, response) => void response.end('good')),
        })
      }),
    )
    for (const id of others) assert.equal((await service.receiver.callbackOf(id)).success, true)
    const done = () => service.receiver.received.filter(({ callback }) => ids.includes(callback.job_id))
    const early = done().length
    assert.ok(early < JOBS, 'the healthy origin waited for the slow one')
    await until('all jobs are called back', () => done().length === JOBS, 40_000)
    clearInterval(filling)
    assert.ok(refused > 0, 'nothing was refused: the limit was never met')
    assert.deepEqual(
      done().filter(({ callback }) => !callback.success),
      [],
    )
  }).timeout(60_000)

  it('keeps the rate of an aggregation over all processors', async () => {
    const origin = await newOrigin()
    const times: number[] = []
    const url = origin.on('/rated', (_request, response) => {
      times.push(performance.now())
      response.end('content')
    })
    const job = { aggr_id: 'rated', aggr_limit: 40, aggr_rate: 20, aggr_burst: 4, url }
    const ids = await Promise.all(Array.from({ length: 34 }, () => service.enqueue(job)))
    for (const id of ids) assert.equal((await service.receiver.callbackOf(id)).success, true)
    const took = Math.max(...times) - Math.min(...times)
    // a second and a half from the first to the last; the first may take longer on its way here
    assert.ok(took > 1000, `30 after the burst at 20 a second took ${took} ms`)
  })

  it('counts the rest of a broken transfer as a request of the aggregation', async () => {
    const origin = await newOrigin()
    const content = Buffer.alloc(4_000_000, 'x') // of less the rest is not asked for
    const times: number[] = []
    const url = origin.on('/cut', (request, response) => {
      times.push(performance.now())
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
      const headers = { etag: '"one"', 'accept-ranges': 'bytes', 'content-length': content.length - from }
      if (from > 0) {
        const range = `bytes ${from}-${content.length - 1}/${content.length}`
        return void response.writeHead(206, { ...headers, 'content-range': range }).end(content.subarray(from))
      }
      response.writeHead(200, headers)
      response.write(content.subarray(0, content.length / 2), () => setTimeout(() => response.destroy(), 50))
    })
    const id = await service.enqueue({ aggr_id: 'cut', aggr_limit: 4, aggr_rate: 1, url })
    const callback = await service.receiver.callbackOf(id)
    assert.equal(callback.success, true, callback.error)
    const [first = 0, second = 0, ...more] = times
    assert.deepEqual(more, [])
    assert.ok(second - first > 950, `the rest was asked for after ${second - first} ms`)
  })

  it('asks a host no more at once than processor.host_limit, from all aggregations', async () => {
    const origin = await newOrigin()
    let open = 0
    let most = 0
    const url = origin.on('/limited', (_request, response) => {
      most = Math.max(most, ++open)
      void full.then(async () => {
        await delay(30)
        open--
        response.end('content')
      })
    })
    const full = eventually(() => assert.equal(most, 6))
    const ids = await Promise.all(
      Array.from({ length: 40 }, (_, i) => service.enqueue({ aggr_id: `one of ${i % 4}`, aggr_limit: 10, url })),
    )
    for (const id of ids) assert.equal((await service.receiver.callbackOf(id)).success, true)
    assert.equal(most, 6)
  })

  it('waits for an origin that is down, instead of failing all of its jobs', async () => {
    const origin = await newOrigin()
    let down = true
    const url = origin.on('/broken', (_request, response) => void (down ? response.writeHead(502) : response).end('x'))
    const job = { aggr_id: 'broken', aggr_limit: 4, url }
    const ids = await Promise.all(Array.from({ length: 60 }, () => service.enqueue(job)))
    const ended = () => service.receiver.received.filter(({ callback }) => ids.includes(callback.job_id))
    await Promise.any(
      service.roles
        .filter(({ name }) => name === 'processor')
        .map((role) => role.logged(({ msg }) => String(msg).startsWith('a host is down'))),
    )
    down = false
    await until('all jobs are called back', () => ended().length === ids.length, 40_000)
    const failed = ended().filter(({ callback }) => !callback.success).length
    assert.ok(failed >= 10 && failed < 20, `${failed} of ${ids.length} failed`)
    assert.match(await (await service.get('/metrics')).text(), /downloader_hosts\{state="open"\} 0/)
  }).timeout(60_000)

  it('refuses rates that are none, and groups that no key can name', async () => {
    for (const [field, value] of [
      ['aggr_rate', 0],
      ['aggr_rate', -1],
      ['aggr_rate', '5'],
      ['aggr_burst', 0],
      ['aggr_burst', 1.5],
      ['aggr_id', 'a\0b'],
    ] as const) {
      const body = { aggr_id: 'a', aggr_limit: 1, aggr_rate: 1, url: 'http://origin.example/', [field]: value }
      const response = await service.post('/download', body)
      assert.equal(response.status, 400)
      assert.match(((await response.json()) as { detail: string }).detail, new RegExp(field))
    }
    assert.equal((await service.send('PATCH', '/aggregations/a%00b', { limit: 1 })).status, 400)
  })
})
