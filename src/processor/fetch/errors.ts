import { STATUS_CODES } from 'node:http'
import { errors } from 'undici'
import { type ErrorCode, JobError } from '../../jobs/errors.ts'
import { tlsCode } from './tls-codes.ts'

/** Where an exchange was when it failed. */
export interface Circumstances {
  /** Name and port, as a client may read them. */
  host: string
  /** Status of the response whose body was under way; 0 before there was one. */
  status: number
  /** Status of the redirect that led here; 0 when none did. */
  redirectStatus: number
}

/** Of one head. Node's 16 KiB are too few for the cookies and policies of some sites. */
export const mostHeaderBytes = 64 * 1024

/** Failures of the connection before a response came; `{host}` stands for where it went. */
const connectionCodes: Record<string, [Extract<ErrorCode, `connect.${string}`>, string]> = {
  ECONNREFUSED: ['connect.refused', 'connection refused by {host}'],
  ECONNRESET: ['connect.reset', '{host} closed the connection without a response'],
  EPIPE: ['connect.reset', '{host} closed the connection without a response'],
  UND_ERR_SOCKET: ['connect.reset', '{host} closed the connection without a response'],
  ETIMEDOUT: ['connect.timeout', 'no connection to {host}: the system gave up waiting'],
  ENETUNREACH: ['connect.unreachable', 'no route to {host}: ENETUNREACH'],
  EHOSTUNREACH: ['connect.unreachable', 'no route to {host}: EHOSTUNREACH'],
  EHOSTDOWN: ['connect.unreachable', 'no route to {host}: EHOSTDOWN'],
  ENETDOWN: ['connect.unreachable', 'no route to {host}: ENETDOWN'],
}

/**
 * Responses that contradict themselves, or what undici asserts of any (a status of at least 100); beside what its parser
 * cannot read: those errors have no codes.
 */
const malformedCodes = new Set(['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'ERR_ASSERTION'])

/** The one place that says what a failure of the network, of TLS or of the protocol means. */
export function networkFailure(cause: unknown, { host, status, redirectStatus }: Circumstances): JobError {
  if (cause instanceof JobError) return cause.responseCode === 0 ? withStatus(cause, status || redirectStatus) : cause
  const code = codeOf(cause)
  const options = { cause, responseCode: status || redirectStatus, retriable: true } as const

  if (code === 'UND_ERR_HEADERS_OVERFLOW') return tooManyHeaders(host, `${mostHeaderBytes} bytes`, options)
  if (status > 0 && !isUnreadable(cause)) {
    return new JobError('body.truncated', `unexpected EOF: ${host} ended the response early`, options)
  }
  if (isHttp2(cause)) {
    const text = `${host} speaks HTTP/2 only: it does so before it was agreed on`
    return new JobError('response.http2_only', text, { ...options, retriable: false })
  }
  if (malformedCodes.has(code) || isParserError(cause) || isOutOfTurn(cause)) {
    const text = `${host} answered with something that is not HTTP: ${textOf(cause)}`
    return new JobError('response.malformed', text, options)
  }
  const tls = tlsCode(code)
  if (tls !== undefined) {
    return new JobError(tls, `TLS Error Occured: ${textOf(cause)}`, { cause, responseCode: 0, retriable: false })
  }
  if (code === 'UND_ERR_INVALID_ARG') {
    return new JobError('request.invalid', `the request cannot be sent: ${textOf(cause)}`, { cause, retriable: false })
  }
  const [known, text] = connectionCodes[code] ?? ['connect.failed', `no connection to {host}: ${code || 'no code'}`]
  return new JobError(
    known,
    text.replace('{host}', () => host),
    options,
  )
}

/** A failure on the way to the proxy, or the proxy's own: what it says about the origin is not known. */
export function proxyFailure(cause: unknown, proxyHost: string): JobError {
  const failure = networkFailure(cause, { host: proxyHost, status: 0, redirectStatus: 0 })
  if (failure.code.startsWith('guard.') || failure.code.startsWith('proxy.')) return failure
  return new JobError('proxy.failed', `proxy failed: ${failure.message}`, { retriable: true, cause })
}

/** A proxy that answered for itself: it did not reach the origin, or does not want to. */
export function proxyRefusal(proxyHost: string, status: number): JobError {
  return new JobError('proxy.failed', `proxy failed: ${proxyHost} answered ${statusText(status)}`, {
    retriable: status >= 500,
  })
}

/** @param most with its unit */
export function tooManyHeaders(host: string, most: string, about: { responseCode: number; cause?: unknown }): JobError {
  const text = `${host} sent more than ${most} of headers`
  return new JobError('limit.headers', text, { ...about, retriable: false })
}

/** What zlib says about a body that it cannot decode. */
export function decodingFailure(cause: unknown, coding: string, circumstances: Circumstances): JobError {
  if (cause instanceof JobError) return cause
  const options = { cause, responseCode: circumstances.status, retriable: true } as const
  return codeOf(cause) === 'Z_BUF_ERROR'
    ? new JobError('body.truncated', `unexpected EOF: the ${coding} data of ${circumstances.host} ends early`, options)
    : new JobError('body.encoding', `${circumstances.host} sent a body that is not valid ${coding}`, options)
}

/** Statuses that may pass: RFC 9110, RFC 8470, RFC 6585. */
const passing = new Set([408, 425, 429])

/** @param redirected whether a redirect led there from another host */
export function statusFailure(
  status: number,
  reason: string,
  retryAfterMs: number | undefined,
  redirected = false,
): JobError {
  const retriable = status >= 500 || passing.has(status)
  return new JobError(`http.${status}`, `Received Status code ${statusText(status, reason)}`, {
    responseCode: status,
    retriable,
    redirected,
    ...(retriable && retryAfterMs !== undefined ? { retryAfterMs } : {}),
  })
}

/** `404 Not Found`: the standard's words where it has some, else the server's own. */
export function statusText(status: number, reason = ''): string {
  return `${status} ${STATUS_CODES[status] ?? printable(reason, 80)}`.trimEnd()
}

function withStatus(error: JobError, responseCode: number): JobError {
  if (responseCode === 0) return error
  const { code, message, retriable, cause } = error
  return new JobError(code, message, { retriable, responseCode, cause })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function isParserError(error: unknown): error is Error {
  return error instanceof errors.HTTPParserError
}

/** The other side's SETTINGS frame, which begins a connection in HTTP/2 (RFC 9113, section 3.4): in clear, or without ALPN. */
function isHttp2(error: unknown): boolean {
  const data = isParserError(error) && 'data' in error ? String(error.data) : ''
  return data.startsWith('\0') && data.slice(3, 9) === '\x04\0\0\0\0\0' // length, type, flags and stream
}

/** undici gives no code of its own to 100 and 101, which it was not asked for. */
function isOutOfTurn(error: unknown): boolean {
  return error instanceof errors.SocketError && /^bad (response|upgrade)$/.test(error.message)
}

/** Bytes that the parser stumbled over; there are none where a body just ended. */
function isUnreadable(error: unknown): boolean {
  return isParserError(error) && 'data' in error && error.data !== ''
}

/** OpenSSL keeps the words that matter in `reason`; its messages name source files. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  const ofOpenSsl = 'library' in error && 'reason' in error && typeof error.reason === 'string'
  return printable(ofOpenSsl ? String(error.reason) : error.message, 300)
}

function printable(text: string, length: number): string {
  return text
    .replace(/[^\x21-\x7e]+/g, ' ')
    .trim()
    .slice(0, length)
}
