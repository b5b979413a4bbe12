import { JobError } from '../jobs/errors.ts'

interface SdkError {
  name?: string
  message?: string
  $metadata?: { httpStatusCode?: number }
}

const WRONG_REGION = ['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException']
/** Answers with a status of 400 that say "again", not "never". */
const PASSING = [
  'RequestTimeout',
  'BadDigest',
  'InvalidDigest',
  'IncompleteBody',
  'RequestTimeTooSkewed',
  'ExpiredToken',
]

/** What an error of the SDK means for the job: `storage.*`, permanent when the bucket will never take it. */
export function s3Failure(error: unknown, bucket: string, region: string): JobError {
  const { name = '', $metadata } = error as SdkError
  const status = $metadata?.httpStatusCode ?? 0
  const where = `the bucket ${bucket} in ${region}`
  const permanent = { retriable: false, cause: error }
  const passing = { retriable: true, cause: error }

  if (WRONG_REGION.includes(name) || status === 301 || status === 307) {
    return new JobError('storage.not_found', `${where} is in another region (${name || status})`, permanent)
  }
  if (PASSING.includes(name)) return new JobError('storage.failed', `${where} answered ${name}`, passing)
  if (status === 403) return new JobError('storage.denied', `${where} refused access (${name || status})`, permanent)
  if (status === 404) return new JobError('storage.not_found', `${where} does not exist (${name || status})`, permanent)
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
    return new JobError('storage.denied', `${where} refused the object (${name || status})`, permanent)
  }
  if (status > 0) return new JobError('storage.failed', `${where} answered ${status} ${name}`.trimEnd(), passing)
  return new JobError('storage.failed', `${where} could not be reached (${name || 'no answer'})`, passing)
}
