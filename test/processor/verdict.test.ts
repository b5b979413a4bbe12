import assert from 'node:assert/strict'
import { type ErrorCode, JobError, type JobErrorOptions } from '../../src/jobs/errors.ts'
import type { Verdict } from '../../src/jobs/places.ts'
import { holdOf, verdictOn } from '../../src/processor/verdict.ts'

type About = Pick<JobErrorOptions, 'responseCode' | 'retryAfterMs'>
type Says = Verdict['says']

const HOST = 'origin.example:8080'
const URL = `http://user@${HOST}/file`

const failure = (code: ErrorCode, about: About & { redirected?: boolean }) =>
  new JobError(code, '', { retriable: true, ...about } as JobErrorOptions)

describe('what an attempt says of the host of its URL', () => {
  const failures: [what: string, code: ErrorCode, about: About, direct: Says, redirected: Says][] = [
    ['429', 'http.429', { responseCode: 429 }, 'throttled', ''],
    ['429 with Retry-After', 'http.429', { responseCode: 429, retryAfterMs: 1000 }, 'throttled', ''],
    ['503 with Retry-After', 'http.503', { responseCode: 503, retryAfterMs: 1000 }, 'throttled', ''],
    ['503', 'http.503', { responseCode: 503 }, 'down', ''],
    ['500', 'http.500', { responseCode: 500 }, 'down', ''],
    ['404', 'http.404', { responseCode: 404 }, 'ok', ''],
    ['a connection that is refused', 'connect.refused', {}, 'down', ''],
    ['a connection that is reset', 'connect.reset', {}, 'down', ''],
    ['a connection that takes too long', 'connect.timeout', {}, 'down', ''],
    ['no response in time', 'timeout.headers', {}, 'down', ''],
    ['no route, which is our own network', 'connect.unreachable', {}, '', ''],
    ['a name that is not known', 'dns.not_found', {}, '', ''],
    ['a certificate that is not trusted', 'tls.untrusted', {}, '', ''],
    ['a proxy that failed', 'proxy.failed', {}, '', ''],
    ['a body that ends early', 'body.truncated', { responseCode: 200 }, '', ''],
    ['a file of another type', 'mime.mismatch', { responseCode: 200 }, 'ok', ''],
    ['a storage that failed after the file was here', 'storage.failed', { responseCode: 200 }, 'ok', ''],
    ['a storage that failed before anybody was asked', 'storage.failed', {}, '', ''],
  ]
  for (const [what, code, about, direct, redirected] of failures) {
    it(`of ${what}: ${JSON.stringify(direct)}, and ${JSON.stringify(redirected)} where another host may be to blame`, () => {
      assert.deepEqual(verdictOn(URL, false, failure(code, about)), { host: HOST, says: direct })
      assert.deepEqual(verdictOn(URL, true, failure(code, about)), { host: HOST, says: '' }, 'behind a proxy')
      const elsewhere = failure(code, { responseCode: 302, ...about, redirected: true })
      assert.deepEqual(verdictOn(URL, false, elsewhere), { host: HOST, says: redirected }, 'after a redirect')
    })
  }

  it('of a failure to connect where a redirect led: nothing, as its status shows', () => {
    assert.equal(verdictOn(URL, false, failure('connect.refused', { responseCode: 302 }))?.says, '')
  })

  it('of a success: that it is well, unless a proxy answered for it', () => {
    assert.deepEqual(verdictOn(URL, false), { host: HOST, says: 'ok' })
    assert.deepEqual(verdictOn(URL, true), { host: HOST, says: '' })
  })

  it('of a URL whose host is not known: nothing at all', () => {
    assert.equal(verdictOn('http:/origin.example/', false), undefined)
    assert.equal(verdictOn('http:/origin.example/', false, failure('http.503', { responseCode: 503 })), undefined)
  })

  it('holds it as long as it asked for, and never because the host of a redirect asked', () => {
    assert.equal(holdOf(failure('http.503', { responseCode: 503, retryAfterMs: 7000 })), 7000)
    assert.equal(holdOf(failure('http.503', { responseCode: 503 })), undefined)
    assert.equal(holdOf(failure('http.503', { responseCode: 503, retryAfterMs: 7000, redirected: true })), undefined)
  })
})
