import { JobError } from '../jobs/errors.ts'

interface SdkError {
  /** A string where the network failed; a `DOMException` has a number. */
  code?: unknown
  $metadata?: { httpStatusCode?: number }
}

/** The last is said by the SDK, of a name that it can make no address of. */
const NO_BUCKET = ['NoSuchBucket', 'InvalidBucketName', 'EndpointError']
const OTHER_REGION = ['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException']
/** Answers whose status says "never", and whose name says "again". */
const PASSING = [
  'BadDigest',
  'ExpiredToken',
  'IncompleteBody',
  'InvalidDigest',
  'NoSuchUpload',
  'RequestTimeout',
  'RequestTimeTooSkewed',
  'TemporaryRedirect',
]
const PASSING_STATUS = [307, 408, 409, 429]

/**
 * What an error of the SDK means for the job: a JobError `storage.*`, permanent when the bucket will never take it.
 * What is no error of S3 or of the network is returned as it is: a bug, or a failure that somebody named already.
 */
export function s3Failure(error: unknown, bucket: string, region: string): unknown {
  if (!(error instanceof Error) || error instanceof JobError) return error
  const { code, $metadata } = error as SdkError
  const name = ['Error', 'Unknown'].includes(error.name) ? '' : error.name
  const status = $metadata?.httpStatusCode ?? 0
  const where = `the bucket ${bucket} in ${region}`
  const said = name || status
  const permanent = { retriable: false, cause: error } as const
  const passing = { retriable: true, cause: error } as const

  if (OTHER_REGION.includes(name) || status === 301) {
    return new JobError('storage.not_found', `${where} is in another region (${said})`, permanent)
  }
  if (NO_BUCKET.includes(name)) return new JobError('storage.not_found', `${where} does not exist (${said})`, permanent)
  if (PASSING.includes(name)) return new JobError('storage.failed', `${where} answered ${name}`, passing)
  if (status === 403) return new JobError('storage.denied', `${where} refused access (${said})`, permanent)
  if (status === 404) return new JobError('storage.not_found', `${where} does not exist (${said})`, permanent)
  if (status >= 400 && status < 500 && !PASSING_STATUS.includes(status)) {
    return new JobError('storage.denied', `${where} refused the object (${said})`, permanent)
  }
  if (status > 0) return new JobError('storage.failed', `${where} answered ${status} ${name}`.trimEnd(), passing)
  if (name === 'CredentialsProviderError') {
    return new JobError('storage.denied', `there are no credentials for ${where}`, passing)
  }
  if (name !== 'TimeoutError' && typeof code !== 'string') return error
  const why = typeof code === 'string' ? code : name // the SDK calls a reset connection a TimeoutError, too
  return new JobError('storage.failed', `${where} could not be reached (${why})`, passing)
}
