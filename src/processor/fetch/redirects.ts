import { STATUS_CODES } from 'node:http'
import { JobError } from '../../jobs/errors.ts'
import type { Response } from './exchange.ts'

export const mostRedirects = 10
/** RFC 9110, section 15.4. 300 offers a choice, and 304 answers a condition: neither says where the file is. */
export const redirectStatuses = new Set([301, 302, 303, 307, 308])
/** RFC 9110, section 4.1, asks for 8000 at least. */
const longestUrl = 16 * 1024

/**
 * Where a response redirects to; undefined where it does not.
 *
 * @param from what was asked for, which a relative `Location` begins from
 * @throws {JobError} `redirect.invalid` for a `Location` that is missing, empty, too long, or no URL, and for several that
 *   differ; `guard.scheme`; all permanent
 */
export function redirectTarget({ status, headers }: Pick<Response, 'status' | 'headers'>, from: URL): URL | undefined {
  if (!redirectStatuses.has(status)) return undefined
  const invalid = (why: string) =>
    new JobError('redirect.invalid', `${from.host} redirects ${why}`, { retriable: false, responseCode: status })

  const [location = '', another] = new Set([headers.location ?? []].flat())
  if (another !== undefined) throw invalid('to several places at once')
  if (location === '') throw invalid(`without saying where to: ${status} ${STATUS_CODES[status]} has no Location`)
  if (location.length > longestUrl)
    throw invalid(`to a URL of ${location.length} bytes, ${longestUrl} at most are followed`)
  const text = decodedAsUtf8(location)
  if (!URL.canParse(text, from.href)) throw invalid('to something that is not a URL')

  const url = new URL(text, from)
  if (isHttp(url)) return url
  throw new JobError('guard.scheme', `refused redirect: ${url.protocol} is neither http: nor https:`, {
    retriable: false,
    responseCode: status,
  })
}

/** `redirects` have been followed so far. */
export function tooManyRedirects(responseCode: number): JobError {
  return new JobError('redirect.too_many', `stopped after ${mostRedirects} redirects`, {
    retriable: false,
    responseCode,
  })
}

export function isHttp({ protocol }: URL): boolean {
  return protocol === 'http:' || protocol === 'https:'
}

/**
 * Whether what was meant for `from` may be sent to `to`, too: the same origin, or the same host that now wants to be asked
 * over TLS, which nobody learns anything from.
 */
export function isSameHome(from: URL, to: URL): boolean {
  if (from.origin === to.origin) return true
  const secured = from.protocol === 'http:' && to.protocol === 'https:'
  return secured && from.hostname === to.hostname && from.port === '' && to.port === ''
}

/** undici reads headers as Latin-1, servers write UTF-8. */
function decodedAsUtf8(text: string): string {
  if (!/[\x80-\xff]/.test(text)) return text
  const decoded = Buffer.from(text, 'latin1').toString()
  return decoded.includes('\ufffd') ? text : decoded
}
