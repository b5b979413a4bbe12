import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { tlsCode } from '../../../src/processor/fetch/tls-codes.ts'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { response, startRawOrigin } from '../../support/origin.ts'
import { failure, header, startFetcher } from './harness.ts'

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

  it('does not accept a certificate before its time, and tells it from one after', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.notYetValid)
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    await assert.rejects(fetcher.fetch(origin.url), fails('tls.not_yet_valid', 'certificate is not yet valid'))
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

  const refusals: [what: string, options: TlsOptions, code: string][] = [
    ['shares no cipher with us', { ciphers: 'AES128-SHA256', maxVersion: 'TLSv1.2' }, 'tls.handshake'],
    ['speaks HTTP/2 only', { ALPNProtocols: ['h2'] }, 'response.http2_only'],
    ['wants a certificate of ours, in TLS 1.2', { requestCert: true, maxVersion: 'TLSv1.2' }, 'tls.handshake'],
    ['wants a certificate of ours, in TLS 1.3', { requestCert: true, minVersion: 'TLSv1.3' }, 'tls.handshake'],
  ]
  for (const [what, options, code] of refusals) {
    it(`says what is wrong with a server that ${what}`, async () => {
      const answer = createTlsServer({ ...certificates.good, ...options }).on('tlsClientError', () => {})
      await using server = await listening(answer)
      await using fetcher = await startFetcher({}, { ca: certificates.ca })
      await assert.rejects(fetcher.fetch(server.url), fails(code, ''))
    })
  }

  it('knows every way in which OpenSSL and Node speak of a failure', () => {
    const codes = {
      CERT_HAS_EXPIRED: 'tls.expired',
      UNSPECIFIED: 'tls.untrusted',
      ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'tls.version',
      ERR_SSL_UNSUPPORTED_PROTOCOL: 'tls.version',
      ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE: 'tls.handshake',
      'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE': 'tls.handshake', // OpenSSL 3.5
      ERR_SSL_TLSV1_UNRECOGNIZED_NAME: 'tls.handshake',
      ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'tls.handshake',
      ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL: 'response.http2_only',
      ERR_SSL_WRONG_VERSION_NUMBER: 'tls.failed',
      ERR_TLS_DH_PARAM_SIZE: 'tls.failed',
      EPROTO: 'tls.failed',
      ECONNRESET: undefined,
    }
    for (const [code, expected] of Object.entries(codes)) assert.equal(tlsCode(code), expected, code)
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

  it('drops credentials, cookies and headers of its own on the way from https to http', async () => {
    await using plain = await startRawOrigin(() => response('there'))
    await using secure = await startRawOrigin(
      () => response('', { Location: plain.url }, '302 Found'),
      certificates.good,
    )
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    const headers = { Authorization: 'Bearer secret', Cookie: 'a=secret', 'X-Api-Key': 'secret', Accept: 'image/*' }
    assert.equal(await fetcher.read(secure.url, { headers }), 'there')
    for (const [name, value] of Object.entries(headers)) {
      assert.equal(header(secure.heads[0], name), value)
      assert.equal(header(plain.heads[0], name), name === 'Accept' ? value : undefined)
    }
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
