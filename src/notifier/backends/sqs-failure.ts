import { JobError } from '../../jobs/errors.ts'
import { networkFailure } from './network-failure.ts'

/** The parts of the SDK's errors that tell what happened. */
interface AwsError {
  name: string
  message: string
  /** The code of the query protocol, which has other names for some errors. */
  Code?: string
  $metadata?: { httpStatusCode?: number }
}

const unknownQueue = /NonExistentQueue|QueueDoesNotExist|QueueDeletedRecently/
/** Who we are, not what we may: credentials expire and are renewed while callbacks wait. */
const authentication = new RegExp(
  [
    'ExpiredToken',
    'InvalidClientTokenId',
    'UnrecognizedClient',
    'SignatureDoesNotMatch',
    'RequestExpired',
    'InvalidSecurity',
    'CredentialsProvider',
    'TokenProvider',
  ].join('|'),
)
const throttled = /Throttl|TooManyRequests|OverLimit|RequestLimitExceeded/i
const temporaryStatuses = new Set([408, 425, 429])

/** What the SDK's error means for a callback. @param queue as it may be shown */
export function sqsFailure(queue: string, error: unknown): JobError {
  if (error instanceof JobError && error.code.startsWith('receiver.')) return error
  if (!isAwsError(error)) return networkFailure(queue, error)
  const kind = `${error.name} ${error.Code ?? ''}`
  const status = error.$metadata?.httpStatusCode
  const options = { retriable: true, cause: error } as const

  if (unknownQueue.test(kind)) {
    const text = `SQS queue ${queue} does not exist (tried again: it may be created)`
    return new JobError('receiver.unknown_queue', text, options)
  }
  // The text for a wrong signature quotes the request with its session token.
  if (authentication.test(kind)) {
    return new JobError('receiver.refused', `SQS did not accept our credentials: ${error.name}`, options)
  }
  if (status === undefined) return networkFailure(queue, error)
  const answer = `SQS queue ${queue} answered ${status} ${error.name}: ${error.message.slice(0, 300)}`
  if (status >= 500 || throttled.test(kind) || temporaryStatuses.has(status)) {
    return new JobError('receiver.unreachable', answer, options)
  }
  return new JobError('receiver.refused', answer, { ...options, retriable: status < 400 })
}

/**
 * What an error of the SDK says against sending anything at all. Nothing, where SQS answered and knows who we are: we may
 * not list queues, which needs another right than to send.
 *
 * @param where as it may be shown
 */
export function sqsComplaint(where: string, error: unknown): JobError | undefined {
  const { Code = '', $metadata } = (isAwsError(error) ? error : {}) as Partial<AwsError>
  const status = $metadata?.httpStatusCode
  const isKnown = isAwsError(error) && !authentication.test(`${error.name} ${Code}`)
  if (status !== undefined && status < 500 && isKnown) return undefined
  if (status === undefined || !isKnown) return sqsFailure(where, error)
  return new JobError('receiver.unreachable', `${where} answered ${status}`, { retriable: true, cause: error })
}

function isAwsError(error: unknown): error is AwsError {
  return error instanceof Error && !(error instanceof JobError)
}
