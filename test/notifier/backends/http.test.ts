import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import { HttpConfig, httpBackend } from '../../../src/notifier/backends/http.ts'
import { backendConformance, failureOf, forever, newCallback } from '../../conformance/backend.ts'
import { makeCertificates } from '../../support/certificates.ts'
import { type ReceiverOptions, startReceiver } from '../../support/receiver.ts'
import { callbacksAgent } from './callbacks-agent.ts'

backendConformance('http', async () => {
  let receiver = await startReceiver()
  const { port } = receiver
  const agent = callbacksAgent()
  const backend = httpBackend(HttpConfig.parse({}), agent)
  return {
    backend,
    destination: receiver.url('/callback'),
    arrived: async (count) => (await receiver.received(count)).map(({ body }) => JSON.parse(body)),
    troubled: async () => receiver.url('/status/503'),
    hopeless: async () => 'http://169.254.169.254/latest/meta-data/',
    silent: async () => receiver.url('/hang'),
    goAway: () => receiver[Symbol.asyncDispose](),
    async comeBack() {
      receiver = await startReceiver({ port })
    },
    async [Symbol.asyncDispose]() {
      await backend.close()
      await agent.destroy()
      await receiver[Symbol.asyncDispose]().catch(() => {}) // it may be away
    },
  }
})

/** A receiver and a backend. */
async function start(options: ReceiverOptions = {}, config: object = {}) {
  const receiver = await startReceiver(options)
  const agent = callbacksAgent()
  const backend = httpBackend(HttpConfig.parse(config), agent)
  return {
    receiver,
    backend,
    async [Symbol.asyncDispose]() {
      await backend.close()
      await agent.destroy()
      await receiver[Symbol.asyncDispose]()
    },
  }
}

describe('HTTP callbacks', () => {
  it('are POSTed as JSON to the path and query of the destination', async () => {
    await using service = await start()
    const callback = newCallback()
    await service.backend.deliver(service.receiver.url('/a/b%20c?d=e&f#fragment'), callback, forever())
    const [request] = await service.receiver.received(1)
    assert.equal(request?.method, 'POST')
    assert.equal(request?.path, '/a/b%20c?d=e&f')
    assert.equal(request?.headers['content-type'], 'application/json')
    assert.equal(request?.headers.authorization, undefined)
    assert.equal(request?.headers['webhook-id'], undefined)
    assert.equal(request?.body, JSON.stringify(callback))
  })

  for (const status of [200, 201, 202, 204, 299]) {
    it(`are delivered by status ${status}`, async () => {
      await using service = await start()
      await service.backend.deliver(service.receiver.url(`/status/${status}`), newCallback(), forever())
    })
  }

  for (const status of [300, 301, 302, 304, 307, 308, 400, 401, 404, 410, 429, 500, 503]) {
    it(`are tried again after status ${status}, which the failure names`, async () => {
      await using service = await start()
      const delivery = service.backend.deliver(service.receiver.url(`/status/${status}`), newCallback(), forever())
      const failure = await failureOf(delivery)
      assert.equal(failure.code, 'receiver.status')
      assert.equal(failure.retriable, true)
      assert.match(failure.message, new RegExp(`/status/${status} answered ${status}`))
    })
  }

  it('do not follow redirects', async () => {
    await using service = await start({
      respond: ({ path }, response) => {
        if (path === '/from') response.setHeader('location', '/to')
        response.writeHead(path === '/from' ? 307 : 200).end()
      },
    })
    const failure = await failureOf(service.backend.deliver(service.receiver.url('/from'), newCallback(), forever()))
    assert.match(failure.message, /redirects are not followed/)
    assert.deepEqual(
      service.receiver.requests.map(({ path }) => path),
      ['/from'],
    )
  })

  it('wait for the final status behind an interim one', async () => {
    await using service = await start({
      respond: (_, response) => {
        response.writeProcessing()
        response.writeHead(503).end()
      },
    })
    const failure = await failureOf(service.backend.deliver(service.receiver.url(), newCallback(), forever()))
    assert.match(failure.message, /answered 503/)
  })

  it('use one connection for one after another, also when the answers have bodies', async () => {
    await using service = await start({ respond: (_, response) => response.end('thank you '.repeat(100)) })
    for (let i = 0; i < 20; i++) {
      await service.backend.deliver(service.receiver.url(), newCallback(), forever())
      await new Promise(setImmediate) // undici lets a connection rest for one turn of the event loop
    }
    assert.equal(service.receiver.connections, 1)
  })

  it('count as delivered at the status, whatever the body does afterwards', async () => {
    const bodies = [
      (write: (chunk: Buffer) => boolean) => write(Buffer.from('{')), // and nothing more
      (write: (chunk: Buffer) => boolean) => {
        while (write(Buffer.alloc(65_536))); // as much as goes
      },
    ]
    for (const body of bodies) {
      await using service = await start({
        respond: (_, response) => {
          response.writeHead(200)
          body((chunk) => response.write(chunk))
          response.on('drain', () => body((chunk) => response.write(chunk)))
        },
      })
      const begin = performance.now()
      await service.backend.deliver(service.receiver.url(), newCallback(), forever())
      assert.ok(performance.now() - begin < 900, 'it waited for the body')
    }
  })

  it('close the connection of an answer that does not end', async () => {
    for (const chunk of [Buffer.from('.'), Buffer.alloc(100_000)]) {
      let closed: Promise<unknown> | undefined
      await using service = await start({
        respond: (_, response) => {
          closed = once(response, 'close')
          response.writeHead(200)
          response.write(chunk)
        },
      })
      await service.backend.deliver(service.receiver.url(), newCallback(), forever())
      assert.ok(closed)
      await closed
    }
  })

  it('are delivered by a 2xx whose body breaks off', async () => {
    await using service = await start({
      respond: (_, response) => {
        response.writeHead(200, { 'content-length': 100 })
        response.write('some')
        setImmediate(() => response.destroy())
      },
    })
    await service.backend.deliver(service.receiver.url(), newCallback(), forever())
  })

  it('wait for an answer as long as configured, and say how long that was', async () => {
    await using service = await start({}, { timeout: 0.2 })
    const begin = performance.now()
    const failure = await failureOf(service.backend.deliver(service.receiver.url('/hang'), newCallback(), forever()))
    assert.equal(failure.code, 'receiver.timeout')
    assert.equal(failure.retriable, true)
    assert.match(failure.message, /no answer within 0\.2 s/)
    assert.ok(performance.now() - begin < 900)
  })

  it('send the credentials of the URL as Basic authorization, and show them nowhere', async () => {
    await using service = await start()
    const url = (path: string) => service.receiver.url(path).replace('//', '//us%40er:se%3Acret%ff@')
    await service.backend.deliver(url('/'), newCallback(), forever())
    const [request] = await service.receiver.received(1)
    assert.equal(request?.headers.authorization, `Basic ${Buffer.from('us@er:se%3Acret%ff').toString('base64')}`)

    for (const destination of [url('/status/500'), url('/').replace('http:', 'ftp:')]) {
      const failure = await failureOf(service.backend.deliver(`${destination}?key=hidden`, newCallback(), forever()))
      assert.doesNotMatch(failure.message, /cret|hidden/)
    }
  })

  it('are refused for good when they name a metadata address, in any spelling', async () => {
    await using service = await start()
    for (const host of ['169.254.169.254', '0xa9fea9fe', '[::ffff:169.254.169.254]', '[fe80::1]']) {
      const failure = await failureOf(service.backend.deliver(`http://${host}/`, newCallback(), forever()))
      assert.equal(failure.code, 'receiver.refused', host)
      assert.equal(failure.retriable, false, host)
      assert.match(failure.message, /link-local|metadata/, host)
    }
  })

  it('name a host that does not exist', async () => {
    await using service = await start()
    const failure = await failureOf(service.backend.deliver('http://nowhere.invalid/', newCallback(), forever()))
    assert.equal(failure.code, 'receiver.unreachable')
    assert.equal(failure.retriable, true)
    assert.match(failure.message, /nowhere\.invalid/)
  })

  it('are tried again when the receiver speaks no HTTP, or hangs up', async () => {
    for (const answer of ['SSH-2.0-OpenSSH_9.6\r\n', '']) {
      const server = createServer((socket) => socket.on('error', () => {}).end(answer)).listen(0, '127.0.0.1')
      await once(server, 'listening')
      await using service = await start()
      const { port } = server.address() as AddressInfo
      const delivery = service.backend.deliver(`http://127.0.0.1:${port}/`, newCallback(), forever())
      const failure = await failureOf(delivery)
      server.close()
      assert.equal(failure.code, 'receiver.unreachable')
      assert.equal(failure.retriable, true)
    }
  })

  it('are tried again when the certificate is not trusted, and delivered when it is', async () => {
    await using certificates = await makeCertificates()
    const server = createTlsServer(certificates.good, (request, response) => {
      request.resume()
      request.on('end', () => response.end())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const destination = `https://127.0.0.1:${port}/`
    const wary = callbacksAgent()
    const trusting = callbacksAgent(certificates.ca)
    try {
      const delivery = httpBackend(HttpConfig.parse({}), wary).deliver(destination, newCallback(), forever())
      const failure = await failureOf(delivery)
      assert.equal(failure.code, 'receiver.unreachable')
      assert.equal(failure.retriable, true)
      await httpBackend(HttpConfig.parse({}), trusting).deliver(destination, newCallback(), forever())
    } finally {
      await Promise.all([wary.destroy(), trusting.destroy()])
      server.close()
    }
  })

  it('abort while the connection is being made, and never send the request', async () => {
    await using service = await start()
    const stop = new AbortController()
    const reason = new Error('stop')
    const delivery = service.backend.deliver(service.receiver.url('/first'), newCallback(), stop.signal)
    stop.abort(reason) // nothing has left this process yet
    await assert.rejects(delivery, (error) => error === reason)
    await service.backend.deliver(service.receiver.url('/second'), newCallback(), forever())
    assert.deepEqual(
      service.receiver.requests.map(({ path }) => path),
      ['/second'],
    )
  })
})

describe('signed HTTP callbacks', () => {
  const secrets = [
    { given: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', key: Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64') },
    { given: 'plain sécret', key: Buffer.from('plain sécret', 'utf8') },
  ]
  for (const { given, key } of secrets) {
    it(`carry the headers of Standard Webhooks, signed with the key of ${given}`, async () => {
      await using service = await start({}, { signing_secret: given })
      const callback = newCallback()
      const before = Math.floor(Date.now() / 1000)
      await service.backend.deliver(service.receiver.url(), callback, forever())
      const [{ headers, body } = assert.fail()] = await service.receiver.received(1)
      assert.equal(body, JSON.stringify(callback))
      assert.equal(headers['webhook-id'], callback.job_id)
      const timestamp = Number(headers['webhook-timestamp'])
      assert.ok(timestamp >= before && timestamp <= Date.now() / 1000)
      const mac = createHmac('sha256', key).update(`${callback.job_id}.${timestamp}.${body}`).digest('base64')
      assert.equal(headers['webhook-signature'], `v1,${mac}`)
    })
  }

  it('keep their id at the next attempt', async () => {
    await using service = await start({}, { signing_secret: 'secret' })
    const callback = newCallback()
    await failureOf(service.backend.deliver(service.receiver.url('/status/500'), callback, forever()))
    await service.backend.deliver(service.receiver.url(), callback, forever())
    const ids = (await service.receiver.received(2)).map(({ headers }) => headers['webhook-id'])
    assert.deepEqual(ids, [callback.job_id, callback.job_id])
  })

  it('need a secret that is not empty', () => {
    for (const signing_secret of ['', 'whsec_', 'whsec_!']) {
      assert.equal(HttpConfig.safeParse({ signing_secret }).success, false, signing_secret)
    }
  })
})
