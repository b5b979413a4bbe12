import type { Failure } from './job.ts'

/**
 * The stable codes of failures that somebody thought about: part of the callback (`error_code`), the logs and the
 * metrics. Clients match on them, so a code never changes its meaning. docs/errors.md has what each means.
 */
export const errorCodes = [
  'tls.untrusted',
  'tls.expired',
  'tls.not_yet_valid',
  'tls.hostname',
  'tls.version',
  'tls.handshake',
  'tls.failed',
  'dns.not_found',
  'dns.no_address',
  'dns.bad_name',
  'dns.timeout',
  'dns.failed',
  'connect.refused',
  'connect.reset',
  'connect.timeout',
  'connect.unreachable',
  'connect.failed',
  'proxy.invalid',
  'proxy.failed',
  'timeout.headers',
  'timeout.stall',
  'timeout.slow',
  'timeout.total',
  'response.malformed',
  'response.unexpected',
  'response.http2_only',
  'body.truncated',
  'body.encoding',
  'redirect.too_many',
  'redirect.invalid',
  'request.invalid',
  'guard.private_address',
  'guard.port',
  'guard.scheme',
  'limit.bytes',
  'limit.ratio',
  'limit.headers',
  'limit.pixels',
  'mime.mismatch',
  'image.size',
  'verify.checksum',
  'storage.denied',
  'storage.not_found',
  'storage.full',
  'storage.failed',
  'worker.stalled',
  'job.cancelled',
  'imported',
  'internal',
  'receiver.status',
  'receiver.unreachable',
  'receiver.timeout',
  'receiver.refused',
  'receiver.unknown_topic',
  'receiver.unknown_queue',
  'receiver.undefined_backend',
] as const

/** One of the list, or the status that an origin answered with. */
export type ErrorCode = (typeof errorCodes)[number] | `http.${number}`

export interface JobErrorOptions {
  /** Whether the same attempt may succeed later. No default: whoever makes the error knows. */
  retriable: boolean
  /** Status of the origin's response, when one came. */
  responseCode?: number
  /** How long the other side asked us to wait, in ms, already clamped. */
  retryAfterMs?: number
  /** Another host than the URL's said so: a redirect led there. */
  redirected?: boolean
  /** The type that was found, when the body was looked at. */
  mimeType?: string
  cause?: unknown
}

/** A failure that somebody thought about; made where its meaning is known, read where the job is settled. */
export class JobError extends Error {
  override readonly name = 'JobError'
  readonly code: ErrorCode
  readonly retriable: boolean
  readonly responseCode: number
  readonly retryAfterMs: number | undefined
  readonly redirected: boolean
  readonly mimeType: string

  /** @param message for the client: it becomes the callback's `error`, so it holds no secrets */
  constructor(code: ErrorCode, message: string, options: JobErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retriable = options.retriable
    this.responseCode = options.responseCode ?? 0
    this.retryAfterMs = options.retryAfterMs
    this.redirected = options.redirected ?? false
    this.mimeType = options.mimeType ?? ''
  }
}

/** What is no JobError is a bug: logged by who finds it, and it may pass. */
export function asJobError(error: unknown): JobError {
  if (error instanceof JobError) return error
  const text = 'an internal error; the operators find it in the log'
  return new JobError('internal', text, { retriable: true, cause: error })
}

/**
 * What a job's record remembers of an attempt that failed just now.
 *
 * @param begin by `performance.now()`
 */
export const failureOf = (step: Failure['step'], { code }: JobError, begin: number): Failure => ({
  step,
  code,
  atMs: Date.now(),
  durationMs: Math.round(performance.now() - begin),
})
