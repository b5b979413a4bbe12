import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import Koa from 'koa'
import { apiTypes } from '../../client/api-types.ts'
import { callbacks as expressCallbacks } from '../../client/examples/express.ts'
import { callbacks as koaCallbacks } from '../../client/examples/koa.ts'
import { ApiProblem, ApiUnreachable, type Callback, downloader, verifyCallback } from '../../client/src/index.ts'
import { eventually } from '../support/eventually.ts'
import { startOrigin } from '../support/http-origin.ts'
import { startService } from '../support/service.ts'

const SECRET = `whsec_${Buffer.from('a key that nobody knows').toString('base64')}`

async function listening(listener: RequestListener) {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

describe('the live events of the client', () => {
  it('end when they are no longer wanted, also long after they began', async () => {
    await using server = await listening((_, response) => void response.write(': listening\n\n'))
    const end = new AbortController()
    const events = downloader({ url: server.url }).events({}, end.signal)
    assert.deepEqual((await events.next()).value, { kind: 'listening' })
    const next = events.next()
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    for (let i = 0; i < 3; i++) {
      await new Promise(setImmediate)
      gc() // what nothing holds on to is gone, as it is after a while
    }
    end.abort(new Error('enough'))
    await assert.rejects(next, /enough/)
  })
})

describe('the types of the client', () => {
  it('are those of the OpenAPI document (else: node --import tsx client/generate.ts)', () => {
    assert.equal(readFileSync('client/src/api.ts', 'utf8'), apiTypes())
  })
})

describe('verifyCallback', () => {
  const body = JSON.stringify({ job_id: 'job', success: true })
  const nowS = 1_700_000_000
  function headers(key = 'a key that nobody knows', timestamp = nowS) {
    const mac = createHmac('sha256', key).update(`job.${timestamp}.${body}`).digest('base64')
    return { 'webhook-id': 'job', 'webhook-timestamp': String(timestamp), 'webhook-signature': `v1,b2xk v1,${mac}` }
  }

  it('believes what is signed with the secret, by headers of Node and of fetch', () => {
    assert.equal(verifyCallback(SECRET, headers(), body, { nowS }).job_id, 'job')
    assert.equal(verifyCallback(SECRET, new Headers(headers()), Buffer.from(body), { nowS }).success, true)
  })

  it('refuses another key, another body, an old callback, and one that is not signed', () => {
    const refused = (given: Record<string, string>, text: string, reason: RegExp) =>
      assert.throws(() => verifyCallback(SECRET, given, text, { nowS }), { name: 'CallbackRefused', message: reason })
    refused(headers('another'), body, /webhook-signature/)
    refused(headers(), body.replace('true', 'false'), /webhook-signature/)
    refused(headers(undefined, nowS - 301), body, /webhook-timestamp/)
    refused(headers(undefined, nowS + 301), body, /webhook-timestamp/)
    refused({}, body, /is missing/)
  })
})

describe('the example receivers', () => {
  const receivers = {
    Koa: (received: (callback: Callback) => Promise<void>) => new Koa().use(koaCallbacks(SECRET, received)).callback(),
    'node:http, as for Express': (received: (callback: Callback) => Promise<void>) =>
      expressCallbacks(SECRET, received),
  }
  for (const [name, receiver] of Object.entries(receivers)) {
    it(`take what the service signs, and refuse what others send: ${name}`, async () => {
      await using origin = await startOrigin()
      const received: Callback[] = []
      await using server = await listening(
        receiver(async (callback) => {
          received.push(callback)
        }),
      )
      await using service = await startService({
        roles: ['start'],
        config: { backends: { http: { signing_secret: SECRET } } },
      })
      const id = await service.enqueue({ url: origin.on('/file', 'hello'), callback_dst: server.url })
      await eventually(() =>
        assert.deepEqual(
          received.map(({ job_id, size }) => [job_id, size]),
          [[id, 5]],
        ),
      )
      assert.equal((await fetch(server.url, { method: 'POST', body: '{}' })).status, 401)
    })
  }
})

describe('the client', () => {
  const job = { aggr_id: 'a', aggr_limit: 2, url: 'http://origin.test/', callback_type: 'none' } as const

  it('walks through a job: enqueue, wait, look, list, cancel', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ roles: ['start'] })
    const client = downloader({ url: service.url })
    const { id } = await client.enqueue({ ...job, url: origin.on('/file', 'hello') })
    const over = await client.wait(id, { signal: AbortSignal.timeout(15_000) })
    assert.deepEqual([over.state, over.result?.size], ['done', 5])
    const listed = []
    for await (const one of client.list({ state: 'done' })) listed.push(one.id)
    assert.deepEqual(listed, [id])
    assert.equal((await client.why(id)).code, 'finished')
    await client.cancel(id)
    await assert.rejects(client.get('AAAAAAAAAAAAAA'), (error) => error instanceof ApiProblem && error.status === 404)
  })

  it('enqueues many in chunks, and says which were refused', async () => {
    await using service = await startService({ roles: ['api'] })
    const client = downloader({ url: service.url })
    const jobs = Array.from({ length: 25 }, (_, i) => (i === 13 ? { ...job, url: 'ftp://x/' } : job))
    const results = await all(client.batch(jobs, { chunk: 10 }))
    assert.deepEqual(
      results.map(({ index }) => index),
      [...jobs.keys()],
    )
    assert.deepEqual(
      results.filter((result) => 'problem' in result).map(({ index }) => index),
      [13],
    )
    assert.equal((await client.aggregation('a')).pending, 24)
  })

  it('sends a batch again that was not answered, and each job is accepted once', async () => {
    await using service = await startService({ roles: ['api'] })
    let requests = 0
    await using proxy = await listening(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const headers = { 'idempotency-key': String(request.headers['idempotency-key']) }
      const answer = await fetch(`${service.url}${request.url}`, {
        method: 'POST',
        headers,
        body: Buffer.concat(chunks),
      })
      const text = await answer.text()
      if (requests++ === 0) response.destroy()
      else response.writeHead(answer.status).end(text)
    })
    const results = await all(downloader({ url: proxy.url }).batch([job, job, job]))
    assert.equal(results.filter((result) => 'id' in result).length, 3)
    assert.equal((await downloader({ url: service.url }).aggregation('a')).pending, 3)
  })

  it('says that nobody answers', async () => {
    await assert.rejects(downloader({ url: 'http://127.0.0.1:9' }).get('x'), ApiUnreachable)
  })
})
