import { JobError } from '../../jobs/errors.ts'

/** What these answers object to is in the message, the topic's name or our rights: the same message never passes. */
const permanent = new Set<string | undefined>([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_RECORD',
  'INVALID_TIMESTAMP',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_REQUIRED_ACKS',
  'POLICY_VIOLATION',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'UNSUPPORTED_COMPRESSION_TYPE',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
])
/** Who we are, not what we may: a matter of this notifier's configuration, which can be mended while callbacks wait. */
const authentication = new Set<string | undefined>([
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'KafkaJSSASLAuthenticationError',
])
const timeouts = new Set<string | undefined>(['REQUEST_TIMED_OUT', 'KafkaJSRequestTimeoutError'])

/**
 * What kafkajs's error means for a callback. Its own `retriable` says nothing: it is false for everything that has run
 * out of retries; what happened is in the causes.
 */
export function kafkaFailure(topic: string, error: unknown): JobError {
  if (error instanceof JobError) return error
  const root = rootOf(error)
  const kind = protocolType(root) ?? (root instanceof Error ? root.name : undefined)
  const reason = reasonOf(error)
  const cause = error
  if (kind === 'UNKNOWN_TOPIC_OR_PARTITION') {
    const text = `Kafka topic ${topic} does not exist (tried again: it may be created): ${reason}`
    return new JobError('receiver.unknown_topic', text, { retriable: true, cause })
  }
  if (permanent.has(kind)) {
    const text = `Kafka refused the message to topic ${topic}: ${reason}`
    return new JobError('receiver.refused', text, { retriable: false, cause })
  }
  if (authentication.has(kind)) {
    return new JobError('receiver.refused', `Kafka did not accept our credentials: ${reason}`, {
      retriable: true,
      cause,
    })
  }
  if (timeouts.has(kind)) {
    const text = `Kafka did not acknowledge a message to topic ${topic} in time: ${reason}`
    return new JobError('receiver.timeout', text, { retriable: true, cause })
  }
  const trouble = isBrokersAnswer(error) ? `could not take a message to` : 'cannot be reached for'
  return new JobError('receiver.unreachable', `Kafka ${trouble} topic ${topic}: ${reason}`, { retriable: true, cause })
}

/** What happened, in kafkajs's words. */
export function reasonOf(error: unknown): string {
  const root = rootOf(error)
  return root instanceof Error ? root.message : String(root)
}

/** Whether a broker answered with an error code: then the connections are fine. */
export function isBrokersAnswer(error: unknown): boolean {
  return protocolType(rootOf(error)) !== undefined
}

/** kafkajs wraps what happened once or twice, with the same message. */
function rootOf(error: unknown): unknown {
  let root = error
  for (let depth = 0; depth < 5; depth++) {
    if (protocolType(root) !== undefined || !(root instanceof Error) || root.cause === undefined) break
    root = root.cause
  }
  return root
}

/** Kafka's name for the error code of an answer, such as `UNKNOWN_TOPIC_OR_PARTITION`. */
function protocolType(error: unknown): string | undefined {
  return error instanceof Error && 'type' in error && typeof error.type === 'string' ? error.type : undefined
}
