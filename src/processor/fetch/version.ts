import type { IncomingHttpHeaders } from 'node:http'

/** What must stay the same for a body to be put together from several responses (RFC 9110, section 15.3.7.3). */
export interface Version {
  /** Where the redirects ended, without the query: signatures in it differ each time. */
  url: string
  /** For `If-Range`: a strong entity tag, quoted, or a date as the origin wrote it. */
  validator: string
  /** `Content-Encoding` that is not ours to undo; `""` where there is none. */
  encoding: string
  /** bytes of the whole */
  size: number
}

/** What is missing of a version. */
export interface Rest {
  version: Version
  /** Bytes that are there already: at least one, and not all. */
  from: number
}

interface Head {
  status: number
  headers: IncomingHttpHeaders
  url: URL
}

/** Of a smaller file, and of a transfer that broke before so much has come, the rest is not worth asking for. */
export const WORTH_BYTES = 1024 * 1024

/** Who sends one of these asks for something else than the whole, as it is now. */
const conditions = ['range', 'if-range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']

/** Whether a request asks for the whole: only of that, a rest can be asked for. */
export function asksForWhole(headers: ReadonlyMap<string, unknown>): boolean {
  return !conditions.some((name) => headers.has(name))
}

/**
 * The version that a response is the whole of; undefined where its rest could not be told from that of another, or is
 * not worth asking for.
 *
 * @param size what `Content-Length` says; undefined when it says nothing
 */
export function versionOf({ status, headers, url }: Head, size: number | undefined): Version | undefined {
  if (status !== 200 || size === undefined || size < WORTH_BYTES || size > Number.MAX_SAFE_INTEGER) return undefined
  if (/^\s*none\s*$/i.test(headers['accept-ranges'] ?? '')) return undefined
  const validator = strongValidator(headers)
  return validator === undefined ? undefined : { url: placeOf(url), validator, encoding: encodingOf(headers), size }
}

/** The headers that ask for a rest, or for the whole should it be of another version (RFC 9110, section 13.1.5). */
export function restHeaders({ version, from }: Rest): [name: string, value: string][] {
  return [
    ['Range', `bytes=${from}-`],
    ['If-Range', version.validator],
  ]
}

/**
 * Whether a response is what was asked for, or at least its beginning. What a server leaves out here is not taken for
 * granted, but for `Content-Encoding`, which it need not repeat.
 */
export function isRest({ status, headers, url }: Head, { version, from }: Rest): boolean {
  const [, first, last, size] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(headers['content-range'] ?? '') ?? []
  return (
    status === 206 &&
    Number(first) === from &&
    Number(last) >= from &&
    Number(last) < version.size &&
    Number(size) === version.size &&
    headers[isEntityTag(version.validator) ? 'etag' : 'last-modified'] === version.validator &&
    ['', version.encoding].includes(encodingOf(headers)) &&
    placeOf(url) === version.url
  )
}

/**
 * RFC 9110, section 8.8: of a file that has an entity tag, the date is never used. The date of the last change is strong
 * when the response is at least a second younger.
 */
function strongValidator(headers: IncomingHttpHeaders): string | undefined {
  const { etag, date, 'last-modified': changed } = headers
  if (etag !== undefined) return isEntityTag(etag) ? etag : undefined
  if (!isDate(changed) || !isDate(date)) return undefined
  return Date.parse(date) - Date.parse(changed) >= 1000 ? changed : undefined
}

/** Of ASCII only: anything else may not come back as it came. An empty one says nothing. */
function isEntityTag(text: unknown): text is string {
  return typeof text === 'string' && /^"[\x21\x23-\x7e]{1,1024}"$/.test(text)
}

/** IMF-fixdate: `Sun, 06 Nov 1994 08:49:37 GMT` */
function isDate(text: unknown): text is string {
  return typeof text === 'string' && /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(text)
}

const encodingOf = (headers: IncomingHttpHeaders) => String(headers['content-encoding'] ?? '').toLowerCase()
const placeOf = ({ origin, pathname }: URL) => origin + pathname
