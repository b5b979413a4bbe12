import type { Ended, Failure } from './job.ts'

/**
 * The stable codes of failures that somebody thought about, and whether what fails so is tried again: part of the callback
 * (`error_code`), the logs and the metrics. Clients match on them, so a code never changes its meaning. docs/errors.md has
 * what each means.
 */
export const retried = {
  'tls.untrusted': 'no',
  'tls.expired': 'no',
  'tls.not_yet_valid': 'no',
  'tls.hostname': 'no',
  'tls.version': 'no',
  'tls.handshake': 'no',
  'tls.failed': 'no',
  'dns.not_found': 'yes',
  'dns.no_address': 'yes',
  'dns.bad_name': 'no',
  'dns.timeout': 'yes',
  'dns.failed': 'yes',
  'connect.refused': 'yes',
  'connect.reset': 'yes',
  'connect.timeout': 'yes',
  'connect.unreachable': 'yes',
  'connect.failed': 'yes',
  'proxy.invalid': 'no',
  'proxy.failed': 'depends',
  'timeout.headers': 'yes',
  'timeout.stall': 'yes',
  'timeout.slow': 'yes',
  'timeout.total': 'yes',
  'response.malformed': 'yes',
  'response.unexpected': 'depends',
  'response.http2_only': 'no',
  'body.truncated': 'yes',
  'body.encoding': 'depends',
  'redirect.too_many': 'no',
  'redirect.invalid': 'no',
  'request.invalid': 'no',
  'guard.private_address': 'no',
  'guard.port': 'no',
  'guard.scheme': 'no',
  'limit.bytes': 'no',
  'limit.ratio': 'no',
  'limit.headers': 'no',
  'limit.pixels': 'no',
  'mime.mismatch': 'no',
  'image.size': 'no',
  'verify.checksum': 'yes',
  'storage.denied': 'depends',
  'storage.not_found': 'no',
  'storage.full': 'yes',
  'storage.failed': 'yes',
  'worker.stalled': 'no',
  'job.cancelled': 'no',
  imported: 'no',
  internal: 'yes',
  'receiver.status': 'yes',
  'receiver.unreachable': 'yes',
  'receiver.timeout': 'yes',
  'receiver.refused': 'depends',
  'receiver.unknown_topic': 'yes',
  'receiver.unknown_queue': 'yes',
  'receiver.undefined_backend': 'yes',
} as const satisfies Record<string, 'yes' | 'no' | 'depends'>

type ListedCode = keyof typeof retried
export const errorCodes = Object.keys(retried) as ListedCode[]

/** One of the list, or the status that an origin answered with. */
export type ErrorCode = ListedCode | `http.${number}`

/** What `retriable` may be of a code, so that the compiler keeps everybody to the list. */
type Retriable<Code extends ErrorCode> = Code extends ListedCode
  ? { yes: true; no: false; depends: boolean }[(typeof retried)[Code]]
  : boolean

export interface JobErrorOptions<Code extends ErrorCode = ErrorCode> {
  /** Whether the same attempt may succeed later. No default: whoever makes the error knows. */
  retriable: Retriable<Code>
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
export class JobError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'JobError'
  readonly code: ErrorCode
  readonly retriable: boolean
  readonly responseCode: number
  readonly retryAfterMs: number | undefined
  readonly redirected: boolean
  readonly mimeType: string

  /** @param message for the client: it becomes the callback's `error`, so it holds no secrets */
  constructor(code: Code, message: string, options: JobErrorOptions<Code>) {
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
  ...endedNow(begin),
})

/** @param begin of the attempt, by `performance.now()` */
export const endedNow = (begin: number): Ended => {
  return { atMs: Date.now(), durationMs: Math.round(performance.now() - begin) }
}
