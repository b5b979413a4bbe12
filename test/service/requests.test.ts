import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import path from 'node:path'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import type { JobView } from '../../src/api/schemas/job.ts'
import { startProxy } from '../processor/fetch/proxy-server.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type LenientApi, startLenientApi } from '../support/lenient-api.ts'
import { type RawOrigin, startCanary } from '../support/origin.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

/** Everything that the service has said so far. */
const said = ({ roles }: Service) =>
  roles.map((role) => role.stdout() + role.stderr() + role.logs.map((line) => JSON.stringify(line)).join('\n')).join()

describe('the request to the origin', () => {
  let service: Service
  let origin: Origin

  before(async () => {
    origin = await startOrigin()
    service = await startService({
      roles: ['start'],
      config: {
        processor: {
          max_retries: 0,
          allow_networks: ['127.0.0.1'],
          request_headers: { 'User-Agent': 'configured', 'X-Both': 'configured', 'X-Number': 5, Connection: 'close' },
        },
      },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  /** Downloads, and resolves to the headers that the origin got. */
  async function headersOf(job: Record<string, unknown>): Promise<IncomingHttpHeaders> {
    const before = origin.requests.length
    await service.download({ url: origin.on('/headers', 'ok'), ...job })
    assert.equal(origin.requests.length, before + 1)
    return origin.requests.at(-1)?.headers ?? {}
  }

  describe('has headers:', () => {
    it('the configured ones, also where they are integers', async () => {
      const headers = await headersOf({})
      assert.deepEqual(
        [headers['user-agent'], headers['x-both'], headers['x-number']],
        ['configured', 'configured', '5'],
      )
    })

    it("the job's own, which win over the configured ones in any case", async () => {
      const headers = await headersOf({
        request_headers: { Accept: 'image/png,*/*', 'x-both': 'own', 'USER-AGENT': 'Downloader-Agent', 'X-Count': 42 },
      })
      assert.deepEqual(
        [headers.accept, headers['x-both'], headers['user-agent'], headers['x-count'], headers['x-number']],
        ['image/png,*/*', 'own', 'Downloader-Agent', '42', '5'],
      )
    })

    it('none of those that belong to the connection', async () => {
      const url = origin.on('/own', 'ok')
      const headers = await headersOf({
        request_headers: {
          Host: 'evil.test',
          'Content-Length': 7,
          'Transfer-Encoding': 'chunked',
          Connection: 'Upgrade',
          Upgrade: 'websocket',
          'Keep-Alive': 'x',
          TE: 'trailers',
          'Proxy-Authorization': 'Basic x',
        },
      })
      assert.equal(headers.host, new URL(url).host)
      assert.notEqual(headers.connection, 'Upgrade')
      assert.notEqual(headers.connection, 'close')
      for (const name of [
        'content-length',
        'transfer-encoding',
        'upgrade',
        'keep-alive',
        'te',
        'proxy-authorization',
      ]) {
        assert.equal(headers[name], undefined, name)
      }
    })

    it('the credentials of the URL as Basic authorization, unless the job brings its own', async () => {
      const url = origin.on('/headers', 'ok').replace('//', '//us%40er:p%3Ass%20word@')
      const basic = `Basic ${Buffer.from('us@er:p:ss word').toString('base64')}`
      assert.equal((await headersOf({ url })).authorization, basic)
      const own = await headersOf({ url, request_headers: { Authorization: 'Bearer own' } })
      assert.equal(own.authorization, 'Bearer own')
    })
  })

  it('follows redirects of every kind, relative and absolute', async () => {
    for (const [status, location] of [
      [301, '/end'],
      [302, 'end?x'],
      [303, `${origin.url}/end`],
      [307, `//${new URL(origin.url).host}/end`],
      [308, '/end#fragment'],
    ] as const) {
      origin.on('/end', 'the end')
      const url = origin.on('/begin', (_request, response) => response.writeHead(status, { location }).end('not this'))
      const { success, size, response_code, resource_url } = await service.download({ url })
      assert.deepEqual(
        { success, size, response_code, resource_url },
        { success: true, size: 7, response_code: 200, resource_url: url },
        location,
      )
    }
  })

  it('leaves in the record of the job what its callback tells, but for the URL once that is delivered', async () => {
    const look = async (id: unknown) => (await (await service.get(`/jobs/${id}`)).json()) as JobView
    const url = origin.on('/image', (_request, response) => response.end(PNG))
    const moved = origin.on('/moved', (_request, response) => response.writeHead(302, { location: url }).end())
    service.receiver.answer = () => 500 // until then nothing of the record is dropped
    for (const job of [
      { url, extract_image_size: true },
      { url: moved },
      { url: moved, mime_type: 'text/*' },
      { url: `${origin.url}/absent` },
      { url: 'http://127.0.0.1:2/' },
    ]) {
      const callback: Record<string, unknown> = { ...(await service.download(job)) }
      const { result } = await look(callback.job_id)
      assert.ok(result && 'sha256' in result && 'final_url' in result && 'redirects' in result && 'timings' in result)
      assert.deepEqual(result, Object.fromEntries(Object.keys(result).map((key) => [key, callback[key]])))
    }
    service.receiver.answer = () => 200
    for (const [job, final_url] of [
      [{ url }, ''],
      [{ url: moved }, url],
    ] as const) {
      const { job_id, sha256, timings } = await service.download(job)
      await eventually(async () => assert.equal((await look(job_id)).state, 'delivered'))
      const { result } = await look(job_id)
      assert.deepEqual([result?.sha256, result?.timings, result?.final_url], [sha256, timings, final_url])
    }
  })

  describe('asks for encodings that are undone:', () => {
    const content = Buffer.from('content, again and again. '.repeat(2000))
    const encoded = {
      gzip: gzipSync(content),
      br: brotliCompressSync(content),
      deflate: deflateSync(content),
      'deflate without its header': deflateRawSync(content),
    }
    const stored = (id: string) => readFile(path.join(service.root, id.slice(0, 3), id))

    for (const [name, body] of Object.entries(encoded)) {
      const encoding = name.split(' ')[0] ?? ''
      it(`${name}: size, digest, type and file are those of what was decoded`, async () => {
        const url = origin.on(`/encoded/${encoding}`, (request, response) => {
          assert.match(String(request.headers['accept-encoding']), new RegExp(encoding))
          response.writeHead(200, { 'content-encoding': encoding }).end(body)
        })
        const { success, size, sha256, mime_type, job_id } = await service.download({ url, mime_type: 'text/plain' })
        const digest = createHash('sha256').update(content).digest('hex')
        assert.deepEqual([success, size, sha256, mime_type], [true, content.length, digest, 'text/plain'])
        assert.deepEqual(await stored(job_id), content)
      })
    }

    it('not when the job itself asks for one: it gets what it asked for', async () => {
      const url = origin.on('/encoded/own', (request, response) => {
        assert.equal(request.headers['accept-encoding'], 'gzip')
        response.writeHead(200, { 'content-encoding': 'gzip' }).end(encoded.gzip)
      })
      const { mime_type, job_id } = await service.download({ url, request_headers: { 'accept-encoding': 'gzip' } })
      assert.equal(mime_type, 'application/gzip')
      assert.deepEqual(await stored(job_id), encoded.gzip)
    })
  })

  it('is not sent where a redirect leads to a refused address', async () => {
    await using canary = await startCanary()
    for (const host of ['0.0.0.0', '[::1]', '127.0.0.2', '[::]']) {
      const location = `http://${host}:${canary.port}/`
      const url = origin.on('/away', (_request, response) => response.writeHead(302, { location }).end())
      const { error, error_code } = await service.download({ url })
      assert.equal(error_code, 'guard.private_address', `${host}: ${error}`)
      assert.ok(error.includes(host.replace(/[[\]]/g, '')), error)
    }
    assert.equal(canary.connections, 0)
  })

  it('is not sent where a redirect leads to the port of another service', async () => {
    const location = 'http://127.0.0.1:6379/'
    const url = origin.on('/to-redis', (_request, response) => response.writeHead(302, { location }).end())
    const { error, error_code, response_code } = await service.download({ url })
    assert.deepEqual([error_code, response_code], ['guard.port', 302])
    assert.equal(error, 'refused port: 6379 of 127.0.0.1 is the port of Redis')
  })

  describe("goes by the aggregation's proxy", () => {
    it('as its first job has it, as long as the aggregation lives', async () => {
      await using first = await startProxy()
      await using second = await startProxy()
      let finish: () => void = () => {}
      const hangs = origin.on('/hangs', (_request, response) => {
        response.write('first')
        finish = () => response.end()
      })
      const url = origin.on('/proxied', 'ok')
      const job = { aggr_id: 'proxied', aggr_limit: 2 }
      const running = await service.enqueue({ ...job, url: hangs, aggr_proxy: first.url })
      await eventually(() => assert.deepEqual(first.asked, [`GET ${hangs}`]))
      assert.equal((await service.download({ ...job, url, aggr_proxy: second.url })).success, true)
      assert.equal((await service.download({ ...job, url })).success, true)
      assert.deepEqual(
        first.asked,
        [hangs, url, url].map((url) => `GET ${url}`),
      )
      finish()
      await service.receiver.callbackOf(running)
      // now it has ended, and the next job begins it anew
      await service.download({ ...job, url, aggr_proxy: second.url })
      assert.deepEqual(second.asked, [`GET ${url}`])
      await service.download({ ...job, url })
      assert.deepEqual([first.asked.length, second.asked.length], [3, 1])
    })

    it('and names a proxy that cannot be reached', async () => {
      const callback = await service.download({
        url: origin.on('/proxied', 'ok'),
        aggr_id: 'no proxy',
        aggr_proxy: 'http://me:proxysecret@127.0.0.1:2/',
      })
      const { error, error_code, response_code } = callback
      assert.deepEqual([error_code, response_code], ['proxy.failed', 0])
      assert.match(error, /proxy failed: .*127\.0\.0\.1:2/)
      assert.ok(!said(service).includes('proxysecret'))
    })
  })

  it('leaves no credentials, no query and nothing of a failed response in the logs, nor in the callback', async () => {
    const secret = () => `s3cr3t${Math.random().toString(36).slice(2)}`
    const secrets: string[] = []
    const remember = (text: string) => {
      secrets.push(text)
      return text
    }
    const withSecrets = (url: string) =>
      `${url.replace('//', `//user:${remember(secret())}@`)}?token=${remember(secret())}`
    origin.on('/broken', (_request, response) => {
      response.setHeader('set-cookie', `session=${remember(secret())}`)
      response.writeHead(500, `Oh ${remember(secret())}`).end(`password: ${remember(secret())}`)
    })
    origin.on('/leads-away', (_request, response) => {
      const location = `http://user:${remember(secret())}@127.0.0.2/?token=${remember(secret())}`
      response.writeHead(302, { location }).end()
    })
    service.receiver.answer = ({ path }, _request, response) => {
      if (!path.startsWith('/failing')) return 200
      response.setHeader('x-secret', remember(secret()))
      response.writeHead(200).end(remember(secret()))
      return undefined
    }
    const urls = [
      `${origin.url}/broken`,
      `${origin.url}/leads-away`,
      origin.on('/fine', 'fine'),
      `${origin.url}/absent`,
      'http://127.0.0.1:2/',
      'http://nobody.invalid/',
      `https://${new URL(origin.url).host}/`,
    ].map(withSecrets)
    const receiver = withSecrets(service.receiver.url.replace('/callback', '/failing'))
    const ids = await Promise.all(urls.map((url) => service.enqueue({ url, callback_dst: receiver })))
    for (const [i, id] of ids.entries()) {
      const { resource_url, ...rest } = await service.receiver.callbackOf(id)
      assert.equal(resource_url, urls[i])
      for (const secret of secrets) assert.ok(!JSON.stringify(rest).includes(secret), JSON.stringify(rest))
    }
    const refused = withSecrets('http://127.0.0.1:2/')
    const lost = await service.enqueue({ url: urls[2], callback_dst: refused, callback_error_dst: refused })
    await service.role('start').logged(({ msg, job_id }) => msg === 'callback failed' && job_id === lost)
    const log = said(service)
    assert.ok(log.includes('/broken?') && log.includes('127.0.0.1:2'), 'the rest of the URLs is there')
    for (const secret of secrets) assert.ok(!log.includes(secret), log.slice(log.indexOf(secret) - 300).slice(0, 400))
  })
})

describe('the address guard, as it is by default,', () => {
  let service: Service
  let canary: RawOrigin
  /** Lets pass what ours refuses at once. */
  let lenient: LenientApi

  before(async () => {
    canary = await startCanary()
    service = await startService({ roles: ['start'], config: { processor: { allow_networks: [] } } })
    lenient = await startLenientApi(service)
  })
  after(async () => {
    await lenient[Symbol.asyncDispose]()
    await service[Symbol.asyncDispose]()
    await canary[Symbol.asyncDispose]()
  })

  const hosts = {
    loopback: [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0177.0.0.1',
      '127.0.0.1.',
      '１２７.0.0.1',
      '%31%32%37.0.0.1',
      'localhost',
      'LOCALHOST.',
      'anything.localhost',
      '[::1]',
      '[0:0:0:0:0:0:0:1]',
    ],
    'loopback inside of IPv6': [
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::127.0.0.1]',
      '[64:ff9b::127.0.0.1]',
      '[2002:7f00:1::1]',
      '[64:ff9b:1::7f00:1]',
      '[2001::7f00:1]',
      '[2606:4700::5efe:7f00:1]',
    ],
    unspecified: ['0.0.0.0', '0', '[::]'],
    private: ['10.0.0.1', '172.16.0.1', '192.168.1.1', '[fd00::1]', '[::ffff:10.0.0.1]', '[64:ff9b::a00:1]'],
    'link-local': ['169.254.169.254', '[fe80::1]', '[2002:a9fe:a9fe::]'],
    'carrier-grade NAT': ['100.64.0.1'],
    multicast: ['224.0.0.1', '[ff02::1]'],
    'reserved or broadcast': ['255.255.255.255', '240.0.0.1', '192.0.2.1'],
  }

  it('refuses every address that is not public at the POST, as URL and as proxy', async () => {
    for (const host of Object.values(hosts).flat()) {
      const address = `http://${host}:${canary.port}/`
      for (const [field, job] of [
        ['url', { url: address }],
        ['aggr_proxy', { url: 'http://far.example/', aggr_proxy: address }],
      ] as const) {
        const refusal = service.enqueue({ aggr_id: `by ${field}`, ...job })
        await assert.rejects(refusal, (error: Error) => error.message.startsWith(`400: ${field}: refused address: `))
      }
    }
    assert.equal(canary.connections, 0)
  })

  it('refuses every address that is not public where an API let it pass, and opens no connection', async () => {
    for (const [range, names] of Object.entries(hosts)) {
      const ids = names.flatMap((host) =>
        ['http', 'https'].map((scheme) => lenient.enqueue({ url: `${scheme}://${host}:${canary.port}/` })),
      )
      for (const id of await Promise.all(ids)) {
        const { error_code, error, resource_url, response_code, success } = await service.receiver.callbackOf(id)
        assert.deepEqual(
          { error_code, response_code, success },
          { error_code: 'guard.private_address', response_code: 0, success: false },
          `${range}: ${resource_url}: ${error}`,
        )
        assert.match(error, /refused address/)
      }
    }
    assert.equal(canary.connections, 0)
  })

  it('refuses such proxies too', async () => {
    for (const [i, scheme] of ['http', 'https'].entries()) {
      for (const url of ['http://far.example/', 'https://far.example/']) {
        const id = await lenient.enqueue({
          url,
          aggr_id: `by proxy ${i}`,
          aggr_proxy: `${scheme}://127.0.0.1:${canary.port}/`,
        })
        const { error_code, error } = await service.receiver.callbackOf(id)
        assert.equal(error_code, 'guard.private_address', error)
      }
    }
    assert.equal(canary.connections, 0)
  })
})
