import { createHmac, timingSafeEqual } from 'node:crypto'
import { CallbackRefused } from './errors.ts'

/** What a receiver is told: every key is always there. Delivery is at least once: `job_id` tells a repetition. */
export interface Callback {
  success: boolean
  /** Why the download failed, or `""`. */
  error: string
  /** A stable code, such as `http.404`, or `""`. */
  error_code: string
  /** What was given with the job, as it came. */
  extra: string
  resource_url: string
  /** `""` unless `success`, or where the deployment has no `download_url`. */
  download_url: string
  job_id: string
  /** Of the origin's last answer; 0 when none came. */
  response_code: number
  /** `WxH`, or `""`. */
  image_size: string
  /** bytes */
  size: number
  /** hex, or `""` */
  sha256: string
  mime_type: string
  delivered: boolean
  delivery_error: string
  /** Where redirects ended, without credentials and query; `""` where no answer came. */
  final_url: string
  redirects: number
  /** ms, of the last attempt; 0 for what it did not get to. */
  timings: { dns: number; connect: number; tls: number; first_byte: number; total: number }
}

export interface VerifyOptions {
  /** How old, or how far ahead, a callback may be (300). */
  toleranceS?: number
  /** Seconds since the epoch, now. */
  nowS?: number
}

type Headers = Record<string, string | string[] | undefined> | { get(name: string): string | null }

/**
 * Checks that a callback comes from who has the secret (`backends.http.signing_secret`), and is not an old one that
 * somebody sends again: Standard Webhooks 1.0, whose `webhook-id` is the `job_id`.
 *
 * @param body as it came, before anything parsed it
 * @param headers those of Node's `IncomingMessage`, or of a fetch `Request`
 * @throws {CallbackRefused} saying why it must not be believed
 */
export function verifyCallback(
  secret: string,
  headers: Headers,
  body: string | Uint8Array,
  { toleranceS = 300, nowS = Date.now() / 1000 }: VerifyOptions = {},
): Callback {
  const key = keyOf(secret)
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const given = headerOf(headers, 'webhook-signature').split(' ')
  if (!/^\d{1,12}$/.test(timestamp)) throw new CallbackRefused('webhook-timestamp: is not a time')
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body)
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), bytes])
  const expected = Buffer.from(`v1,${createHmac('sha256', key).update(signed).digest('base64')}`)
  const matches = given.map((one) => {
    const signature = Buffer.from(one)
    return signature.length === expected.length && timingSafeEqual(signature, expected)
  })
  if (!matches.includes(true)) throw new CallbackRefused('webhook-signature: is not that of this body and secret')
  if (Math.abs(nowS - Number(timestamp)) > toleranceS) {
    throw new CallbackRefused(`webhook-timestamp: is more than ${toleranceS} s away from now`)
  }
  return parse(bytes.toString(), id)
}

function keyOf(secret: string): Buffer {
  const key = secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret)
  if (key.length === 0) throw new TypeError('the signing secret is empty')
  return key
}

function headerOf(headers: Headers, name: string): string {
  const value = typeof headers.get === 'function' ? headers.get(name) : (headers as Record<string, unknown>)[name]
  if (typeof value !== 'string' || value === '') throw new CallbackRefused(`${name}: is missing`)
  return value
}

function parse(text: string, id: string): Callback {
  try {
    const callback = JSON.parse(text) as Callback
    if (callback.job_id === id) return callback
  } catch {
    // told below
  }
  throw new CallbackRefused('the body is no callback of the job that webhook-id names')
}
