import assert from 'node:assert/strict'
import { JobError } from '../../src/jobs/errors.ts'
import { s3Failure } from '../../src/storage/s3-failure.ts'

const answer = (name: string, httpStatusCode: number) =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode } })
const network = (code: string) => Object.assign(new Error(code), { code, $metadata: { attempts: 1 } })
const named = (name: string) => Object.assign(new Error(name), { name })

describe('what a failure of S3 means', () => {
  const passing: [string, Error, string][] = [
    ['too many requests', answer('SlowDown', 503), 'storage.failed'],
    ['too many requests, as look-alikes say it', answer('TooManyRequests', 429), 'storage.failed'],
    ['an error of its own', answer('InternalError', 500), 'storage.failed'],
    ['a bucket that moves', answer('TemporaryRedirect', 307), 'storage.failed'],
    ['a conflict', answer('OperationAborted', 409), 'storage.failed'],
    ['a body that did not come', answer('RequestTimeout', 400), 'storage.failed'],
    ['a clock that is wrong', answer('RequestTimeTooSkewed', 403), 'storage.failed'],
    ['credentials about to be renewed', answer('ExpiredToken', 400), 'storage.failed'],
    ['parts that were taken away', answer('NoSuchUpload', 404), 'storage.failed'],
    ['a connection that was reset', network('ECONNRESET'), 'storage.failed'],
    ['a name that was not found', network('ENOTFOUND'), 'storage.failed'],
    ['silence', named('TimeoutError'), 'storage.failed'],
    ['no credentials', named('CredentialsProviderError'), 'storage.denied'],
  ]
  const final: [string, Error, string][] = [
    ['no access', answer('AccessDenied', 403), 'storage.denied'],
    ['no access, as HEAD says it', answer('', 403), 'storage.denied'],
    ['no such key of ours', answer('InvalidAccessKeyId', 403), 'storage.denied'],
    ['no such bucket', answer('NoSuchBucket', 404), 'storage.not_found'],
    ['another region', answer('PermanentRedirect', 301), 'storage.not_found'],
    ['another region, by its signature', answer('AuthorizationHeaderMalformed', 400), 'storage.not_found'],
    ['a name that no bucket has', named('InvalidBucketName'), 'storage.not_found'],
    ['a file that is too large', answer('EntityTooLarge', 400), 'storage.denied'],
  ]
  for (const [retriable, cases] of [
    [true, passing],
    [false, final],
  ] as const) {
    for (const [what, error, code] of cases) {
      it(`${what}: ${code}, ${retriable ? 'to be tried again' : 'for good'}`, () => {
        const failure = s3Failure(error, 'bucket', 'eu-west-1')
        assert.ok(failure instanceof JobError)
        assert.deepEqual([failure.code, failure.retriable, failure.cause], [code, retriable, error])
        assert.match(failure.message, /the bucket bucket in eu-west-1/)
      })
    }
  }

  it('leaves bugs as they are', () => {
    const bug = new TypeError('x is not a function')
    assert.equal(s3Failure(bug, 'bucket', 'eu-west-1'), bug)
  })
})
