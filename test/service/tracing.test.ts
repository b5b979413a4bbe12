import assert from 'node:assert/strict'
import { startAws } from '../support/aws.ts'
import { type Collector, startCollector } from '../support/collector.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Kafka, startKafka } from '../support/kafka.ts'
import { type Service, startService } from '../support/service.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const CALLER = 'b7ad6b7169203331'

describe('a job that comes with a traceparent', () => {
  let collector: Collector
  let origin: Origin
  let service: Service
  let kafka: Kafka
  let aws: Awaited<ReturnType<typeof startAws>>
  before(async () => {
    collector = await startCollector()
    origin = await startOrigin()
    kafka = await startKafka()
    aws = await startAws()
    const backends = {
      kafka: { 'bootstrap.servers': kafka.bootstrap },
      sqs: { region: aws.region, endpoint: aws.endpoint },
    }
    service = await startService({
      config: { tracing: { otlp_url: collector.url }, backends },
      env: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
      roles: ['start'],
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await aws[Symbol.asyncDispose]()
    await kafka[Symbol.asyncDispose]()
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

  it('is part of that trace in a batch, too, whose callbacks carry it over Kafka and SQS', async () => {
    const url = origin.on('/batch', 'body')
    await kafka.createTopic('traced')
    const { queueUrl } = aws.server.createQueue('traced')
    const overKafka = { ...job(url), callback_type: 'kafka', callback_dst: 'traced' }
    const overSqs = { ...job(url), callback_type: 'sqs', callback_dst: queueUrl }
    const headers = { traceparent: `00-${TRACE}-${CALLER}-01` }
    const answer = await service.post('/downloads', [overKafka, overSqs], headers)
    const [byKafka, bySqs] = (await answer.json()) as { id: string }[]
    assert.ok(byKafka && bySqs)
    const spanOf = ({ id }: { id: string }) =>
      eventually(() => {
        const callback = spansOf(id).find(({ name }) => name === 'callback')
        assert.ok(callback)
        return callback
      })
    const [message] = await eventually(async () => {
      const messages = await kafka.messages('traced')
      assert.equal(messages.length, 1)
      return messages
    })
    const { spanId, traceId } = await spanOf(byKafka)
    assert.equal(traceId, TRACE)
    assert.equal(message?.headers, `traceparent=00-${TRACE}-${spanId}-01`)
    const ofSqs = await spanOf(bySqs)
    const [sent] = aws.server.inspectQueue('traced')?.messages.ready ?? []
    assert.deepEqual(
      [ofSqs.traceId, sent?.messageAttributes.traceparent?.StringValue],
      [TRACE, `00-${TRACE}-${ofSqs.spanId}-01`],
    )
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
