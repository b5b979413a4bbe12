import assert from 'node:assert/strict'
import { type Collector, startCollector } from '../support/collector.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startService } from '../support/service.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CALLER = 'b7ad6b7169203331'

describe('a job that comes with a traceparent', () => {
  let collector: Collector
  let origin: Origin
  let service: Service
  before(async () => {
    collector = await startCollector()
    origin = await startOrigin()
    service = await startService({
      config: { tracing: { otlp_url: collector.url } },
      roles: ['start'],
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
    await collector[Symbol.asyncDispose]()
  })

  const job = (url: string) => ({
    aggr_id: 'traced',
    aggr_limit: 2,
    url,
    callback_type: 'http',
    callback_dst: service.receiver.url,
  })
  async function enqueue(url: string, headers: Record<string, string>): Promise<string> {
    const response = await service.post('/download', job(url), headers)
    assert.equal(response.status, 201)
    return ((await response.json()) as { id: string }).id
  }
  const received = (id: string) => service.receiver.received.filter(({ callback }) => callback.job_id === id)
  const spansOf = (id: string) => collector.spans.filter(({ attributes }) => attributes['downloader.job_id'] === id)

  it('is part of that trace: accepted, attempted, and called back, one caused by the other', async () => {
    const url = origin.on('/traced', 'body')
    const id = await enqueue(`${url}?token=secret`, { traceparent: `00-${TRACE}-${CALLER}-01` })
    await service.receiver.callbackOf(id)
    const spans = await eventually(() => {
      const found = spansOf(id)
      assert.equal(found.length, 3)
      return found
    })
    const [accepted, download, callback] = ['POST /download', 'download', 'callback'].map((name) =>
      spans.find((span) => span.name === name),
    )
    assert.ok(accepted && download && callback)
    assert.deepEqual([accepted.parentSpanId, accepted.service], [CALLER, 'downloader-api'])
    assert.deepEqual([download.parentSpanId, download.service], [accepted.spanId, 'downloader-processor'])
    assert.deepEqual([callback.parentSpanId, callback.service], [accepted.spanId, 'downloader-notifier'])
    for (const span of spans) {
      assert.equal(span.traceId, TRACE)
      assert.ok(span.end >= span.start)
      assert.ok(Math.abs(Number(span.start / 1_000_000n) - Date.now()) < 60_000)
      assert.doesNotMatch(JSON.stringify(span.attributes), /secret/)
    }
    assert.equal(download.attributes['http.response.status_code'], '200')
    assert.equal(received(id)[0]?.headers.traceparent, `00-${TRACE}-${callback.spanId}-01`)
    assert.equal(origin.requests.at(-1)?.headers.traceparent, undefined) // strangers could link what we ask for
  })

  it('has a failed span for an attempt that fails', async () => {
    const id = await enqueue(`${origin.url}/nothing`, { traceparent: `00-${TRACE}-${CALLER}-01` })
    const download = await eventually(() => {
      const found = spansOf(id).find(({ name }) => name === 'download')
      assert.ok(found)
      return found
    })
    assert.deepEqual(download.status, { code: 2, message: 'Received Status code 404 Not Found' })
    assert.equal(download.attributes['downloader.code'], 'http.404')
  })

  it('is only passed on when the trace is not recorded', async () => {
    const id = await enqueue(origin.on('/quiet', 'body'), { traceparent: `00-${TRACE}-${CALLER}-00` })
    await service.receiver.callbackOf(id)
    assert.match(String(received(id)[0]?.headers.traceparent), new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
    const later = await enqueue(origin.on('/loud', 'body'), { traceparent: `00-${TRACE}-${CALLER}-01` })
    await eventually(() => assert.equal(spansOf(later).length, 3))
    assert.deepEqual(spansOf(id), [])
  })

  it('is a job like any other when the header is none, or there is none', async () => {
    for (const headers of [{ traceparent: 'nonsense' }, {}] as Record<string, string>[]) {
      const id = await enqueue(origin.on('/plain', 'body'), headers)
      await service.receiver.callbackOf(id)
      assert.equal(received(id)[0]?.headers.traceparent, undefined)
    }
  })

  it('is the same job under its idempotency key, whatever span asks again', async () => {
    const key = { 'idempotency-key': 'traced-once' }
    const url = origin.on('/once', 'body')
    const first = await enqueue(url, { ...key, traceparent: `00-${TRACE}-${CALLER}-01` })
    assert.equal(await enqueue(url, { ...key, traceparent: `00-${TRACE}-00f067aa0ba902b7-01` }), first)
    assert.equal(await enqueue(url, key), first)
  })
})

describe('tracing', () => {
  const headers = { traceparent: `00-${TRACE}-${CALLER}-01` }

  it('costs no job when the collector refuses, or is away', async () => {
    const collector = await startCollector(503)
    await using origin = await startOrigin()
    await using service = await startService({ config: { tracing: { otlp_url: collector.url } }, roles: ['start'] })
    const body = { aggr_id: 'a', aggr_limit: 2, callback_type: 'http', callback_dst: service.receiver.url }
    const job = { ...body, url: origin.on('/file', 'body') }
    const first = ((await (await service.post('/download', job, headers)).json()) as { id: string }).id
    assert.ok((await service.receiver.callbackOf(first)).success)
    await service.role('start').logged(({ msg }) => String(msg).startsWith('spans were dropped'))
    await collector[Symbol.asyncDispose]()
    const second = ((await (await service.post('/download', job, headers)).json()) as { id: string }).id
    assert.ok((await service.receiver.callbackOf(second)).success)
    assert.equal(await service.role('start').end(), 0)
  })

  it('leaves nothing in Redis, nor in a callback, where it is off', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ roles: ['api', 'processor', 'notifier'] })
    const body = { aggr_id: 'a', aggr_limit: 2, callback_type: 'http', callback_dst: service.receiver.url }
    const job = { ...body, url: origin.on('/file', 'body'), not_before: '2999-01-01T00:00:00Z' }
    const { id } = (await (await service.post('/download', { ...job, not_before: '' }, headers)).json()) as {
      id: string
    }
    await service.receiver.callbackOf(id)
    assert.equal(service.receiver.received[0]?.headers.traceparent, undefined)
    const later = new Date(Date.now() + 3_600_000).toISOString()
    const waiting = await service.post('/download', { ...job, not_before: later }, headers)
    const key = `{downloader}:request:${((await waiting.json()) as { id: string }).id}`
    assert.deepEqual(JSON.parse(await service.redis.cli('GET', key)).v, undefined)
  })
})
