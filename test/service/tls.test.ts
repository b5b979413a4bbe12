import assert from 'node:assert/strict'
import type { Callback } from '../../src/jobs/callback.ts'
import { startProxy } from '../processor/fetch/proxy-server.ts'
import { type Certificates, type Identity, makeCertificates } from '../support/certificates.ts'
import { startOrigin } from '../support/http-origin.ts'
import { response, startRawOrigin } from '../support/origin.ts'
import { type Service, startService } from '../support/service.ts'

describe('a download over TLS', () => {
  let certificates: Certificates
  let service: Service

  before(async () => {
    certificates = await makeCertificates()
    const env = { NODE_EXTRA_CA_CERTS: certificates.caFile }
    const processor = { max_retries: 2, retry_backoff_ms: 20 }
    service = await startService({ roles: ['start'], env, config: { processor } })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await certificates[Symbol.asyncDispose]()
  })

  it('succeeds where NODE_EXTRA_CA_CERTS vouches for the origin, directly and by a proxy', async () => {
    await using origin = await startRawOrigin(() => response('secret'), certificates.good)
    await using proxy = await startProxy()
    for (const aggr_proxy of ['', proxy.url]) {
      const callback = await service.download({ url: `${origin.url}/`, aggr_id: `tls ${aggr_proxy}`, aggr_proxy })
      assert.deepEqual([callback.success, callback.size, callback.error], [true, 6, ''])
    }
    assert.deepEqual(proxy.asked, [`CONNECT 127.0.0.1:${origin.port}`])
  })

  /** Attempts so far, once the log tells of the callback: it tells of things in their order. */
  async function attemptsOf({ job_id: id }: Callback): Promise<number> {
    const { logs, logged } = service.role('start')
    await logged(({ msg, job_id }) => msg === 'callback delivered' && job_id === id)
    return logs.filter(({ msg, job_id }) => msg === 'download failed' && job_id === id).length
  }

  const failures: [string, (all: Certificates) => Identity, RegExp, string][] = [
    ['that has expired', ({ expired }) => expired, /certificate has expired/, 'tls.expired'],
    ['that vouches for itself', ({ selfSigned }) => selfSigned, /self[- ]signed/, 'tls.untrusted'],
    ['of another host', ({ otherHost }) => otherHost, /127\.0\.0\.1/, 'tls.hostname'],
  ]
  for (const [what, identityOf, cause, code] of failures) {
    it(`fails at once on a certificate ${what}, and says so`, async () => {
      await using origin = await startRawOrigin(() => response('secret'), identityOf(certificates))
      const callback = await service.download({ url: `${origin.url}/` })
      const { success, error, error_code, response_code } = callback
      assert.match(error, /^TLS Error Occured: ./)
      assert.match(error, cause)
      assert.deepEqual({ success, error_code, response_code }, { success: false, error_code: code, response_code: 0 })
      assert.equal(await attemptsOf(callback), 1)
      assert.equal(origin.heads.length, 0)
    })
  }

  it('fails at once where nobody speaks TLS', async () => {
    await using origin = await startOrigin()
    const callback = await service.download({ url: origin.url.replace('http:', 'https:') })
    assert.match(callback.error, /^TLS Error Occured: ./)
    assert.deepEqual([callback.error_code, callback.response_code], ['tls.failed', 0])
    assert.equal(await attemptsOf(callback), 1)
  })

  it('has the status 0 where a redirect led to the failure', async () => {
    await using untrusted = await startRawOrigin(() => response('secret'), certificates.selfSigned)
    const moved = { location: `${untrusted.url}/` }
    await using origin = await startRawOrigin(() => response('', moved, '301 Moved Permanently'))
    const { error, response_code } = await service.download({ url: `${origin.url}/` })
    assert.match(error, /^TLS Error Occured: /)
    assert.equal(response_code, 0)
  })

  it('fails where the authority is not known: there is no trust by default', async () => {
    await using stranger = await startService({ roles: ['start'] })
    await using origin = await startRawOrigin(() => response('secret'), certificates.good)
    const { error, error_code, response_code } = await stranger.download({ url: `${origin.url}/` })
    assert.match(error, /^TLS Error Occured: ./)
    assert.deepEqual([error_code, response_code, origin.heads.length], ['tls.untrusted', 0, 0])
  })
})
