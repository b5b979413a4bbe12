import { withoutConnectionHeaders } from '../../net/request-headers.ts'
import { acceptEncoding } from './decoding.ts'
import { type Rest, restHeaders } from './version.ts'

/** What a request and the redirects after it are sent with. */
export interface RequestHead {
  /** Name in lower case → the name as it was written, and the value. */
  headers: ReadonlyMap<string, readonly [name: string, value: string]>
  /** Whether the content encodings are ours to undo: who asks for one gets the body as it is. */
  decodes: boolean
}

const userAgent = 'downloader/1.0'
/**
 * What also goes where a redirect leads to on another origin: all that says what is wanted, and nothing that says who
 * wants it. What else is to go there, the config says; credentials never do.
 */
const harmless = [
  'accept',
  'accept-charset',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'pragma',
  'range',
  'user-agent',
]

/** @param names in any case */
export function headersForOthers(names: readonly string[]): ReadonlySet<string> {
  return new Set([...harmless, ...names.map((name) => name.toLowerCase())])
}

/**
 * Joins a job's headers to the configured ones. Of names that differ only by case the last wins, and the job's win over
 * the configured.
 *
 * @param defaults without those that belong to the connection
 * @param authorization of the URL's credentials, for a request that brings none
 */
export function requestHead(
  defaults: Readonly<Record<string, string>>,
  own: Readonly<Record<string, string>>,
  authorization: string | undefined,
): RequestHead {
  const headers = new Map<string, readonly [string, string]>()
  for (const source of [defaults, withoutConnectionHeaders(own)]) {
    for (const [name, value] of Object.entries(source)) headers.set(name.toLowerCase(), [name, asBytes(value)])
  }
  // A range is not to be encoded: a part of something encoded cannot be decoded. Go does not ask for it either.
  const decodes = !headers.has('accept-encoding') && !headers.has('range')
  if (decodes) headers.set('accept-encoding', ['Accept-Encoding', acceptEncoding])
  if (!headers.has('user-agent')) headers.set('user-agent', ['User-Agent', userAgent])
  if (authorization !== undefined && !headers.has('authorization')) {
    headers.set('authorization', ['Authorization', authorization])
  }
  return { headers, decodes }
}

/** The same request for the rest of what came before; encoded, it would be another file's. */
export function restHead({ headers, decodes }: RequestHead, rest: Rest): RequestHead {
  const next = new Map(headers)
  for (const [name, value] of restHeaders(rest)) next.set(name.toLowerCase(), [name, value])
  if (decodes) next.set('accept-encoding', ['Accept-Encoding', 'identity'])
  return { headers: next, decodes }
}

/**
 * For a redirect: what was meant for an origin stays there, and credentials in the new URL count.
 *
 * @param forOthers names of headers that may go to another origin
 */
export function redirectedHead(
  { headers, decodes }: RequestHead,
  sameHome: boolean,
  authorization: string | undefined,
  forOthers: ReadonlySet<string>,
): RequestHead {
  if (sameHome && authorization === undefined) return { headers, decodes }
  const next = new Map(sameHome ? headers : [...headers].filter(([name]) => forOthers.has(name)))
  if (authorization !== undefined) next.set('authorization', ['Authorization', authorization])
  return { headers: next, decodes }
}

/** undici sends a string as Latin-1; what is not ASCII travels as UTF-8, as from Go. */
function asBytes(value: string): string {
  return /^[\x20-\x7e\t]*$/.test(value) ? value : Buffer.from(value).toString('latin1')
}
