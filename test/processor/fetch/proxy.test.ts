import assert from 'node:assert/strict'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { response, startRawOrigin } from '../../support/origin.ts'
import { failure, header, startFetcher, text, until } from './harness.ts'
import { startProxy } from './proxy-server.ts'

describe('the fetcher and proxies', () => {
  let certificates: Certificates
  before(async () => {
    certificates = await makeCertificates()
  })
  after(() => certificates[Symbol.asyncDispose]())

  it('asks a proxy for http URLs, whole, and leaves names to it', async () => {
    await using origin = await startRawOrigin(() => response('by proxy'))
    await using proxy = await startProxy()
    await using fetcher = await startFetcher()
    for (const host of ['far.example', 'away.example']) {
      assert.equal(await fetcher.read(`http://${host}:${origin.port}/a?b`, { proxy: proxy.url }), 'by proxy')
      assert.equal(header(origin.heads.at(-1), 'host'), `${host}:${origin.port}`)
    }
    const urls = ['far', 'away'].map((host) => `GET http://${host}.example:${origin.port}/a?b`)
    assert.deepEqual(proxy.asked, urls)
    assert.equal(proxy.connections, 1)
  })

  it('opens tunnels for https URLs, and checks whom it talks to in there', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.good)
    await using proxy = await startProxy()
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    const at = `good.test:${origin.port}`
    for (let i = 0; i < 3; i++) assert.equal(await fetcher.read(`https://${at}/`, { proxy: proxy.url }), 'secret')
    assert.deepEqual(proxy.asked, [`CONNECT ${at}`], 'the tunnel is used again')
    const wrong = { code: 'tls.hostname', text: 'TLS Error Occured', retriable: false, responseCode: 0 }
    await assert.rejects(fetcher.fetch(`https://far.example:${origin.port}/`, { proxy: proxy.url }), failure(wrong))
    assert.equal(await fetcher.read(origin.url, { proxy: proxy.url }), 'secret')
    assert.equal(proxy.asked.at(-1), `CONNECT 127.0.0.1:${origin.port}`)
  })

  it('speaks TLS with a proxy that wants it', async () => {
    await using plain = await startRawOrigin(() => response('plain'))
    await using secure = await startRawOrigin(() => response('secret'), certificates.good)
    await using proxy = await startProxy({ identity: certificates.good })
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    for (const address of [proxy.url, `https://good.test:${proxy.port}`]) {
      assert.equal(await fetcher.read(`http://far.example:${plain.port}/`, { proxy: address }), 'plain')
      assert.equal(await fetcher.read(`http://away.example:${plain.port}/`, { proxy: address }), 'plain')
      assert.equal(await fetcher.read(`https://good.test:${secure.port}/`, { proxy: address }), 'secret')
    }
    assert.equal(proxy.connections, 4, 'one for each kind of URL and address')
    await using stranger = await startFetcher()
    const expected = { code: 'proxy.failed', text: 'unable to verify', retriable: true, responseCode: 0 }
    await assert.rejects(stranger.fetch(`http://far.example:${plain.port}/`, { proxy: proxy.url }), failure(expected))
  })

  it("sends the proxy's credentials to the proxy, and to nobody else", async () => {
    await using plain = await startRawOrigin(() => response(''))
    await using secure = await startRawOrigin(() => response(''), certificates.good)
    await using proxy = await startProxy()
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    const address = `http://us%65r:pass@127.0.0.1:${proxy.port}`
    const headers = { 'Proxy-Authorization': 'a job cannot say this', Authorization: 'Bearer job' }
    await fetcher.read(`http://far.example:${plain.port}/`, { proxy: address, headers })
    await fetcher.read(`https://good.test:${secure.port}/`, { proxy: address, headers })
    const basic = `Basic ${Buffer.from('user:pass').toString('base64')}`
    assert.deepEqual(
      proxy.requests.map((request) => request.headers['proxy-authorization']),
      [basic, basic],
    )
    assert.equal(proxy.requests[1]?.headers.authorization, undefined)
    for (const head of [...plain.heads, ...secure.heads]) {
      assert.equal(header(head, 'authorization'), 'Bearer job')
      assert.equal(header(head, 'proxy-authorization'), undefined)
    }
  })

  it('keeps connections by proxies apart from direct ones and from each other', async () => {
    await using origin = await startRawOrigin(() => response('here'), certificates.good)
    await using one = await startProxy()
    await using two = await startProxy()
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    for (const proxy of [undefined, one.url, two.url, undefined, one.url, '']) {
      assert.equal(await fetcher.read(origin.url, { proxy }), 'here')
    }
    assert.equal(one.asked.length, 1)
    assert.equal(two.asked.length, 1)
    assert.equal(origin.connections, 3)
  })

  it('follows redirects by the same proxy', async () => {
    await using origin = await startRawOrigin((_, head) =>
      head.startsWith('GET /a') ? response('', { Location: '/b' }, '302 Found') : response('there'),
    )
    await using proxy = await startProxy()
    await using fetcher = await startFetcher()
    const got = await fetcher.fetch(`http://far.example:${origin.port}/a`, { proxy: proxy.url })
    assert.equal(got.url, `http://far.example:${origin.port}/b`)
    assert.equal(proxy.asked.length, 2)
    await got.discard()
  })

  it("reports the origin's status, not the proxy's", async () => {
    await using origin = await startRawOrigin(() => response('', {}, '404 Not Found'), certificates.good)
    await using proxy = await startProxy()
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    await assert.rejects(fetcher.fetch(origin.url, { proxy: proxy.url }), { code: 'http.404', responseCode: 404 })
  })

  describe('that cannot be used', () => {
    const failed = { code: 'proxy.failed', retriable: true, responseCode: 0 }

    for (const proxy of [
      'nonsense',
      'socks5://127.0.0.1:1080',
      'ftp://x/',
      'http://',
      '127.0.0.1:3128',
      'http://a b/',
    ]) {
      it(`says that ${JSON.stringify(proxy)} is none`, async () => {
        await using fetcher = await startFetcher()
        const expected = { code: 'proxy.invalid', text: 'invalid proxy', retriable: false, responseCode: 0 }
        await assert.rejects(fetcher.fetch('http://good.test/', { proxy }), failure(expected))
      })
    }

    for (const scheme of ['http', 'https']) {
      it(`says that nobody listens there (${scheme})`, async () => {
        const gone = await startProxy()
        await gone[Symbol.asyncDispose]()
        await using fetcher = await startFetcher()
        const text = `proxy failed: connection refused by 127.0.0.1:${gone.port}`
        const proxy = `http://user:secret@127.0.0.1:${gone.port}`
        await assert.rejects(fetcher.fetch(`${scheme}://far.example/`, { proxy }), failure({ ...failed, text }))
      })

      it(`says that its name does not exist (${scheme})`, async () => {
        await using fetcher = await startFetcher()
        const text = 'proxy failed: no address found for host proxy.invalid'
        const proxy = 'http://proxy.invalid:3128'
        await assert.rejects(fetcher.fetch(`${scheme}://far.example/`, { proxy }), failure({ ...failed, text }))
      })

      it(`judges its address (${scheme})`, async () => {
        await using proxy = await startProxy()
        await using fetcher = await startFetcher({ allow_networks: [] })
        const expected = { code: 'guard.private_address', retriable: false, responseCode: 0 }
        const text = 'refused address: 127.0.0.1 is loopback'
        const fetching = fetcher.fetch(`${scheme}://far.example/`, { proxy: proxy.url })
        await assert.rejects(fetching, failure({ ...expected, text }))
        const named = fetcher.fetch(`${scheme}://far.example/`, { proxy: `http://good.test:${proxy.port}` })
        await assert.rejects(named, failure({ ...expected, text: 'good.test (127.0.0.1) is loopback' }))
        assert.equal(proxy.connections, 0)
      })

      it(`says that it wants other credentials (${scheme})`, async () => {
        await using proxy = await startProxy({ refusal: 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n' })
        await using fetcher = await startFetcher()
        const text = `proxy failed: 127.0.0.1:${proxy.port} answered 407 Proxy Authentication Required`
        const fetching = fetcher.fetch(`${scheme}://far.example/`, { proxy: proxy.url })
        await assert.rejects(fetching, failure({ ...failed, text, retriable: false }))
      })
    }

    it('says that it opens no tunnel', async () => {
      for (const [refusal, retriable] of [
        ['403 Forbidden', false],
        ['502 Bad Gateway', true],
        ['503 Service Unavailable', true],
      ] as const) {
        await using proxy = await startProxy({ refusal: `HTTP/1.1 ${refusal}\r\nContent-Length: 2\r\n\r\nno` })
        await using fetcher = await startFetcher()
        const fetching = fetcher.fetch('https://far.example/', { proxy: proxy.url })
        await assert.rejects(fetching, failure({ ...failed, text: `answered ${refusal}`, retriable }))
      }
    })

    it('does not wait for a tunnel longer than for a connection', async () => {
      await using proxy = await startProxy({ refusal: '' })
      await using fetcher = await startFetcher({ connect_timeout_ms: 200 })
      const fetching = fetcher.fetch('https://far.example/', { proxy: proxy.url })
      await assert.rejects(fetching, failure({ ...failed, text: 'within 200 ms' }))
    })

    it('names a tunnel that ends nowhere', async () => {
      await using proxy = await startProxy({ refusal: 'nonsense' })
      await using fetcher = await startFetcher()
      const fetching = fetcher.fetch('https://far.example/', { proxy: proxy.url })
      await assert.rejects(fetching, failure({ ...failed, text: 'proxy failed' }))
    })

    it('stops when its signal aborts, while a tunnel is being opened', async () => {
      await using proxy = await startProxy({ refusal: '' })
      await using fetcher = await startFetcher()
      const controller = new AbortController()
      const reason = new Error('stop it')
      const fetching = fetcher.fetch('https://far.example/', { proxy: proxy.url }, controller.signal)
      await until(() => proxy.asked.length === 1)
      controller.abort(reason)
      await assert.rejects(fetching, reason)
      await proxy.idle()
      assert.equal(proxy.connections, 1)
    })

    it('closes the tunnel when its signal aborts', async () => {
      await using origin = await startRawOrigin(
        () => 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf',
        certificates.good,
      )
      await using proxy = await startProxy()
      await using fetcher = await startFetcher({}, { ca: certificates.ca })
      const controller = new AbortController()
      const got = await fetcher.fetch(origin.url, { proxy: proxy.url }, controller.signal)
      controller.abort()
      await assert.rejects(text(got), { name: 'AbortError' })
      await origin.idle()
      await proxy.idle()
      assert.equal(proxy.connections, 1)
    })
  })

  describe('and addresses in URLs', () => {
    for (const url of [
      'http://127.0.0.2/',
      'https://127.0.0.2/',
      'http://[::1]/',
      'https://0x7f.2/',
      'http://10.0.0.1/',
    ]) {
      it(`asks no proxy for ${url}`, async () => {
        await using proxy = await startProxy()
        await using fetcher = await startFetcher()
        const expected = { code: 'guard.private_address', text: 'refused address', retriable: false, responseCode: 0 }
        await assert.rejects(fetcher.fetch(url, { proxy: proxy.url }), failure(expected))
        assert.equal(proxy.connections, 0)
      })
    }

    for (const [url, text] of [
      ['http://far.example:25/', '25 of far.example is the port of SMTP'],
      ['https://far.example:22/', '22 of far.example is the port of SSH'],
    ] as const) {
      it(`asks no proxy for ${url}`, async () => {
        await using proxy = await startProxy()
        await using fetcher = await startFetcher()
        const expected = { code: 'guard.port', text: `refused port: ${text}`, retriable: false, responseCode: 0 }
        await assert.rejects(fetcher.fetch(url, { proxy: proxy.url }), failure(expected))
        assert.equal(proxy.connections, 0)
      })
    }

    it('asks no proxy for localhost, whose addresses are known', async () => {
      await using proxy = await startProxy()
      await using fetcher = await startFetcher({ allow_networks: [`127.0.0.1/32`] })
      await using strict = await startFetcher({ allow_networks: [] })
      const refused = { code: 'guard.private_address', retriable: false, responseCode: 0 }
      for (const host of ['localhost', 'a.localhost.']) {
        const text = `${host} (127.0.0.1) is loopback` // the origin, before anybody connects to the proxy
        await assert.rejects(strict.fetch(`http://${host}/`, { proxy: proxy.url }), failure({ ...refused, text }))
      }
      assert.equal(proxy.connections, 0)
      await fetcher.fetch('http://localhost:1234/', { proxy: proxy.url }).catch(() => {})
      assert.equal(proxy.connections, 1)
    })

    it('does not follow a redirect to one', async () => {
      await using origin = await startRawOrigin(() => response('', { Location: 'http://10.0.0.1/' }, '302 Found'))
      await using proxy = await startProxy()
      await using fetcher = await startFetcher()
      const expected = {
        code: 'guard.private_address',
        text: '10.0.0.1 is private',
        retriable: false,
        responseCode: 302,
      }
      const fetching = fetcher.fetch(`http://far.example:${origin.port}/`, { proxy: proxy.url })
      await assert.rejects(fetching, failure(expected))
      assert.equal(proxy.asked.length, 1)
    })
  })
})
