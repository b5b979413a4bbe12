import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { response, startRawOrigin } from '../../support/origin.ts'
import { failure, startFetcher } from './harness.ts'

describe('the fetcher and TLS', () => {
  let certificates: Certificates
  before(async () => {
    certificates = await makeCertificates()
  })
  after(() => certificates[Symbol.asyncDispose]())

  const fails = (code: string, cause: string) =>
    failure({ code, text: `TLS Error Occured: ${cause}`, retriable: false, responseCode: 0 })

  it('trusts an authority that it is given', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.good)
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    assert.equal(await fetcher.read(origin.url), 'secret')
    assert.equal(await fetcher.read(`https://good.test:${origin.port}/`), 'secret')
  })

  it('trusts no other authority', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.good)
    await using fetcher = await startFetcher()
    await assert.rejects(fetcher.fetch(origin.url), fails('tls.untrusted', 'unable to verify the first certificate'))
    assert.equal(origin.heads.length, 0)
  })

  it('does not trust a certificate that vouches for itself', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.selfSigned)
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    await assert.rejects(fetcher.fetch(origin.url), fails('tls.untrusted', 'self-signed certificate'))
  })

  it('does not accept a certificate that has expired', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.expired)
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    await assert.rejects(fetcher.fetch(origin.url), fails('tls.expired', 'certificate has expired'))
  })

  it('does not accept the certificate of another host', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.otherHost)
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    const text = "Hostname/IP does not match certificate's altnames"
    await assert.rejects(fetcher.fetch(`https://good.test:${origin.port}/`), fails('tls.hostname', text))
    await assert.rejects(fetcher.fetch(origin.url), fails('tls.hostname', text))
    assert.equal(await fetcher.read(`https://other.test:${origin.port}/`), 'secret')
  })

  it('says that a port does not speak TLS', async () => {
    await using plain = await listening(createHttpServer())
    await using fetcher = await startFetcher()
    await assert.rejects(fetcher.fetch(plain.url), fails('tls.failed', 'wrong version number'))
  })

  it('says that there is no common version', async () => {
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const
    await using ancient = await listening(
      createTlsServer({ ...certificates.good, ...old }).on('tlsClientError', () => {}),
    )
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    await assert.rejects(fetcher.fetch(ancient.url), fails('tls.version', 'tlsv1 alert protocol version'))
  })

  it('takes a handshake that is cut off for a broken connection', async () => {
    await using cut = await listening(createServer((socket) => socket.once('data', () => socket.destroy())))
    await using fetcher = await startFetcher()
    const expected = { code: 'connect.reset', text: 'closed the connection', retriable: true, responseCode: 0 }
    await assert.rejects(fetcher.fetch(cut.url), failure(expected))
  })

  it('follows a redirect to https, and reports the status 0 of a TLS failure there', async () => {
    await using good = await startRawOrigin(() => response('secret'), certificates.good)
    await using bad = await startRawOrigin(() => response('secret'), certificates.expired)
    await using origin = await startRawOrigin((_, head) =>
      response('', { Location: head.startsWith('GET /good') ? good.url : bad.url }, '301 Moved'),
    )
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    assert.equal(await fetcher.read(`${origin.url}/good`), 'secret')
    await assert.rejects(fetcher.fetch(`${origin.url}/bad`), fails('tls.expired', 'certificate has expired'))
  })

  it('drops credentials on the way from https to http', async () => {
    await using plain = await startRawOrigin(() => response('there'))
    await using secure = await startRawOrigin(
      () => response('', { Location: plain.url }, '302 Found'),
      certificates.good,
    )
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    assert.equal(await fetcher.read(secure.url, { headers: { Authorization: 'Bearer secret' } }), 'there')
    assert.match(secure.heads[0] ?? '', /Bearer secret/)
    assert.doesNotMatch(plain.heads[0] ?? '', /secret/)
  })

  it('fails on a body that ends early', async () => {
    const answer = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfour'
    await using origin = await startRawOrigin((socket) => {
      socket.end(answer)
    }, certificates.good)
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    const expected = { code: 'body.truncated', text: 'unexpected EOF', retriable: true, responseCode: 200 }
    await assert.rejects(fetcher.read(origin.url), failure(expected))
  })
})

async function listening(server: Server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.close()
      await once(server, 'close')
    },
  }
}
