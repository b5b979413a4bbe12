import { JobError } from '../jobs/errors.ts'

interface SdkError {
  name?: string
  message?: string
  $metadata?: { httpStatusCode?: number }
}

const WRONG_REGION = ['PermanentRedirect', 'AuthorizationHeaderMalformed', 'IllegalLocationConstraintException']
/** Answers that say "again", whatever their status. */
const PASSING = [
  'RequestTimeout',
  'BadDigest',
  'InvalidDigest',
  'IncompleteBody',
  'RequestTimeTooSkewed',
  'ExpiredToken',
  'OperationAborted',
  'NoSuchUpload',
]

/** What an error of the SDK means for the job: `storage.*`, permanent when the bucket will never take it. A bug stays one. */
export function s3Failure(error: unknown, bucket: string, region: string): unknown {
  if (error instanceof TypeError || error instanceof RangeError || error instanceof JobError) return error
  const { name = '', $metadata } = error as SdkError
  const status = $metadata?.httpStatusCode ?? 0
  const where = `the bucket ${bucket} in ${region}`
  const permanent = { retriable: false, cause: error }
  const passing = { retriable: true, cause: error }

  if (WRONG_REGION.includes(name) || status === 301) {
    return new JobError('storage.not_found', `${where} is in another region (${name || status})`, permanent)
  }
  if (name === 'InvalidBucketName') {
    return new JobError('storage.not_found', `${where}: no bucket can have this name`, permanent)
  }
  if (name === 'CredentialsProviderError') {
    return new JobError('storage.denied', `no credentials for ${where}`, passing)
  }
  if (PASSING.includes(name) || status === 307) {
    return new JobError('storage.failed', `${where} answered ${name || status}`, passing)
  }
  if (status === 403) return new JobError('storage.denied', `${where} refused access (${name || status})`, permanent)
  if (status === 404) return new JobError('storage.not_found', `${where} does not exist (${name || status})`, permanent)
  if (status >= 400 && status < 500 && ![408, 409, 429].includes(status)) {
    return new JobError('storage.denied', `${where} refused the object (${name || status})`, permanent)
  }
  if (status > 0) return new JobError('storage.failed', `${where} answered ${status} ${name}`.trimEnd(), passing)
  return new JobError('storage.failed', `${where} could not be reached (${name || 'no answer'})`, passing)
}
