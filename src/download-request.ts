import { z } from 'zod'
import { callbackOf, destinationFault, errorCallbackOf, isHttpUrl, urlsOf } from './destinations.ts'
import { parseChecksum } from './jobs/checksum.ts'
import type { CallbackType, DownloadRequest } from './jobs/job.ts'
import { parseMimePattern } from './jobs/mime-pattern.ts'
import { MIN_RATE } from './jobs/places.ts'
import type { Guards } from './net/address-guard.ts'
import { urlRefusal } from './net/refusals.ts'
import { headerName, unsafeHeaderValue, withoutConnectionHeaders } from './net/request-headers.ts'

const CALLBACK_TYPES = ['http', 'kafka', 'sqs'] as const satisfies readonly CallbackType[]
const MAX_URL = 8192
const MAX_HEADERS = 128
/** Names and values together; servers take 8 to 64 KiB. */
const MAX_HEADERS_LENGTH = 65_536
const NO_HEADER_NAME = 'is not a header name'
/** A timer of Node's cannot be longer. */
const MAX_TIMEOUT_S = Math.floor((2 ** 31 - 1) / 1000)

/** What is complained of a value of the wrong type, or of one that is not there. */
const unless = (complaint: string) => ({
  error: ({ input }: { input?: unknown }) => (input === undefined ? 'is required' : complaint),
})

// Half of a surrogate pair has no UTF-8, and so no key, path or URL of its own.
const text = (max: number) =>
  z
    .string(unless('must be a string'))
    .max(max, `is longer than ${max} characters`)
    .refine((value) => value.isWellFormed(), 'must be well-formed Unicode')
const integer = (min: number, max: number) =>
  z
    .number(unless(`must be an integer of at least ${min}`))
    .int(`must be an integer of at least ${min}`)
    .min(min, `must be an integer of at least ${min}`)
    .max(max, `must be at most ${max}`)

const httpUrl = text(MAX_URL).refine(isHttpUrl, 'must be an http or https URL')
const oneOf = <const T extends readonly string[]>(words: T) => z.enum(words, `must be one of ${words.join(', ')}`)

const MAX_AHEAD_MS = 366 * 24 * 60 * 60 * 1000
const instant = z.iso
  .datetime({ offset: true, error: 'must be a time as in RFC 3339, such as 2030-01-31T12:00:00Z' })
  .transform((value) => Date.parse(value))
  .refine((ms) => ms <= Date.now() + MAX_AHEAD_MS, 'must be at most a year ahead')

const mimeType = text(1024).superRefine((value, issue) => {
  try {
    parseMimePattern(value)
  } catch (error) {
    issue.addIssue((error as Error).message)
  }
})

const checksum = text(256)
  .refine((value) => parseChecksum(value), 'must be sha256, sha512, sha1 or md5, a colon, and the digest in hex')
  .transform((value) => value.toLowerCase())

const requestHeaders = z
  .record(z.string(), z.union([z.string(), z.number().int()], 'must be a string or an integer'), 'must be an object')
  .superRefine((headers, issue) => {
    const all = Object.entries(headers)
    const length = all.reduce((sum, [name, value]) => sum + name.length + String(value).length, 0)
    if (all.length > MAX_HEADERS) issue.addIssue(`are more than ${MAX_HEADERS}`)
    if (length > MAX_HEADERS_LENGTH) issue.addIssue(`are longer than ${MAX_HEADERS_LENGTH} characters`)
    for (const [name, value] of all) {
      const complain = (message: string) => issue.addIssue({ code: 'custom', path: [name], message })
      if (!headerName.test(name)) complain(NO_HEADER_NAME)
      if (unsafeHeaderValue.test(String(value))) complain('must not hold CR, LF or NUL')
      if (!String(value).isWellFormed()) complain('must be well-formed Unicode')
    }
  })
  .transform((headers) => {
    const kept = Object.entries(withoutConnectionHeaders(headers))
    return Object.fromEntries(kept.map(([name, value]) => [name, String(value)]))
  })

const subpath = text(1024)
  .refine((path) => !/[\\\p{Cc}]/u.test(path), 'must not hold a backslash or control characters')
  .refine((path) => !path.split('/').some((part) => part === '..' || part === '.'), 'must not hold . or .. as a folder')
  .refine(
    (path) => path.split('/').every((part) => Buffer.byteLength(part) <= 255),
    'has a folder name above 255 bytes',
  )
  .refine((path) => !path.replace(/^\/+/, '').startsWith('.tmp'), 'must not begin with .tmp')
  .transform((path) => path.split('/').filter(Boolean).join('/'))

/** `POST /download` as it travels. Unknown fields are ignored: clients of the original send some. */
export const DownloadBody = z.object(
  {
    aggr_id: text(1024).refine((value) => !value.includes('\0'), 'must not hold NUL'),
    aggr_limit: integer(1, 2 ** 31 - 1),
    aggr_rate: z
      .number('must be a number above 0')
      .min(MIN_RATE, `must be at least ${MIN_RATE}`)
      .max(1_000_000, 'must be at most 1000000')
      .optional(),
    aggr_burst: integer(1, 1_000_000).optional(),
    aggr_proxy: httpUrl.optional(),
    url: httpUrl,
    /** `none`: the caller looks at the job, and is not called. */
    callback_type: oneOf([...CALLBACK_TYPES, 'none']).optional(),
    callback_dst: text(MAX_URL).optional(),
    callback_url: text(MAX_URL).optional(),
    callback_error_type: oneOf(CALLBACK_TYPES).optional(),
    callback_error_dst: text(MAX_URL).optional(),
    /** May fill the body, whose size is limited. */
    extra: z.string('must be a string').optional(),
    mime_type: mimeType.optional(),
    max_retries: integer(0, 2 ** 31 - 1).optional(),
    extract_image_size: z.boolean('must be true or false').optional(),
    checksum: checksum.optional(),
    max_bytes: integer(1, Number.MAX_SAFE_INTEGER).optional(),
    max_pixels: integer(1, Number.MAX_SAFE_INTEGER).optional(),
    download_timeout: integer(1, MAX_TIMEOUT_S).optional(),
    request_headers: requestHeaders.optional(),
    s3_bucket: text(255).optional(),
    s3_region: text(64).optional(),
    subpath: subpath.optional(),
    priority: integer(0, 9).optional(),
    not_before: instant.optional(),
  },
  'the body must be a JSON object',
)
export type DownloadBody = z.infer<typeof DownloadBody>

/** An empty string in an optional field means absent, as does null. */
function withoutEmpty(body: unknown, issues: z.RefinementCtx): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body
  const given = Object.entries(body).filter(([, value]) => value !== '' && value !== null)
  const { request_headers } = Object.fromEntries(given)
  const name = '__proto__' // a record leaves it out, as if it had not been there
  if (typeof request_headers === 'object' && Object.hasOwn(request_headers, name)) {
    issues.addIssue({ code: 'custom', path: ['request_headers', name], message: NO_HEADER_NAME })
  }
  return Object.fromEntries(given)
}

/**
 * What a body of `POST /download` must be, as it travels.
 *
 * @param backends the callback types that this deployment has
 * @param guards judge what stands in the URLs themselves, as far as it can be told without looking names up; absent where
 *   that is left to those who connect
 */
export function downloadBodySchema(backends: readonly CallbackType[], guards?: Guards) {
  return z.preprocess(withoutEmpty, DownloadBody).superRefine((body, issue) => {
    const complain = (field: keyof DownloadBody, message: string | undefined) => {
      if (message !== undefined) issue.addIssue({ code: 'custom', path: [field], message })
    }

    if (body.aggr_burst && !body.aggr_rate) complain('aggr_rate', 'is required with aggr_burst')
    if (body.s3_bucket && !body.s3_region) complain('s3_region', 'is required with s3_bucket')
    if (body.s3_region && !body.s3_bucket) complain('s3_bucket', 'is required with s3_region')

    const callback = callbackOf(body)
    if (callback.none && body.callback_dst) complain('callback_dst', 'does not go with callback_type none')
    else if (callback.dst && !callback.type) complain('callback_type', 'is required with callback_dst')
    if (callback.type && !callback.dst) complain('callback_dst', 'is required with callback_type')
    if (!callback.type && !callback.dst && !body.s3_bucket && !callback.none) {
      const text = 'a callback (callback_type and callback_dst, or none) is required unless s3_bucket is given'
      complain('callback_type', text)
    }
    const errorCallback = errorCallbackOf(body)
    if (errorCallback.dst && !errorCallback.type) {
      complain('callback_error_type', 'is required with callback_error_dst')
    }
    for (const { type, dst, fields } of [callback, errorCallback]) {
      if (!type || !dst) continue
      if (!backends.includes(type)) complain(fields[0], `this deployment has no backend ${type}`)
      complain(fields[1], destinationFault(type, dst))
    }
    if (guards === undefined) return
    for (const { field, url, policy } of urlsOf(body)) {
      if (isHttpUrl(url)) complain(field, urlRefusal(guards[policy], new URL(url))?.message)
    }
  })
}

/** {@link downloadBodySchema}, translated into the job's request. */
export function downloadRequestSchema(backends: readonly CallbackType[], guards?: Guards) {
  return downloadBodySchema(backends, guards).transform((body): DownloadRequest => {
    const { type, dst } = callbackOf(body)
    const headers = body.request_headers
    return {
      aggrId: body.aggr_id,
      aggrLimit: body.aggr_limit,
      aggrRate: body.aggr_rate,
      aggrBurst: body.aggr_burst,
      aggrProxy: body.aggr_proxy,
      url: body.url,
      callbackType: type,
      callbackDst: dst,
      callbackErrorType: body.callback_error_dst ? body.callback_error_type : undefined,
      callbackErrorDst: body.callback_error_dst,
      extra: body.extra,
      mimeType: body.mime_type,
      maxRetries: body.max_retries,
      extractImageSize: body.extract_image_size || undefined,
      checksum: body.checksum,
      maxBytes: body.max_bytes,
      maxPixels: body.max_pixels,
      downloadTimeoutS: body.download_timeout,
      requestHeaders: headers && Object.keys(headers).length ? headers : undefined,
      s3Bucket: body.s3_bucket,
      s3Region: body.s3_region,
      subpath: body.subpath || undefined,
      priority: body.priority || undefined,
      notBeforeMs: body.not_before,
    }
  })
}
