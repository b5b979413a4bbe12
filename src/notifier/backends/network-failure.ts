import { JobError } from '../../jobs/errors.ts'

const timeouts = new Set<unknown>(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

/**
 * What it means for a callback that the exchange with its receiver broke off: only a refusal of the address guard is
 * for good.
 *
 * @param receiver as it may be shown: without credentials
 */
export function networkFailure(receiver: string, cause: unknown): JobError {
  const reason = reasonOf(cause)
  if (cause instanceof JobError && cause.code.startsWith('guard.')) {
    return new JobError('receiver.refused', `${receiver} must not be called: ${reason}`, { retriable: false, cause })
  }
  if (cause instanceof JobError && cause.code === 'receiver.timeout') {
    return new JobError('receiver.timeout', `${receiver}: ${reason}`, { retriable: true, cause })
  }
  const code = timeouts.has(codeOf(cause)) ? 'receiver.timeout' : 'receiver.unreachable'
  return new JobError(code, `${receiver} cannot be reached: ${reason}`, { retriable: true, cause })
}

/** Node's error for "every address of the name failed" has a code but no message of its own. */
function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  if (cause.message !== '') return cause.message
  return cause instanceof AggregateError ? cause.errors.map(reasonOf).join(', ') : String(codeOf(cause) ?? cause.name)
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined
}
