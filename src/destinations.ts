import type { CallbackType } from './jobs/job.ts'
import { isTopicName } from './jobs/topic-name.ts'
import type { GuardPolicy } from './net/address-guard.ts'

/** What a body of `POST /download` says about where to go. */
interface Places {
  url: string
  aggr_proxy?: string | undefined
  callback_type?: CallbackType | 'none' | undefined
  callback_dst?: string | undefined
  callback_url?: string | undefined
  callback_error_type?: CallbackType | undefined
  callback_error_dst?: string | undefined
}

/** Where an outcome is reported, and the fields that say so. */
interface Destination {
  type: CallbackType | undefined
  dst: string | undefined
  fields: readonly [type: keyof Places, dst: keyof Places]
  /** The caller wants none, in so many words. */
  none: boolean
}

/** `callback_url` is the older name of an HTTP callback, and wins. */
export function callbackOf({ callback_url, callback_type: type, callback_dst: dst }: Places): Destination {
  if (callback_url) return { type: 'http', dst: callback_url, fields: ['callback_url', 'callback_url'], none: false }
  const fields = ['callback_type', 'callback_dst'] as const
  return type === 'none' ? { type: undefined, dst: undefined, fields, none: true } : { type, dst, fields, none: false }
}

/** Where a failure is reported instead; its type is the other's unless it is given. */
export function errorCallbackOf(body: Places): Destination {
  const { callback_error_type: type = callbackOf(body).type, callback_error_dst: dst } = body
  return { type, dst, fields: ['callback_error_type', 'callback_error_dst'], none: false }
}

export interface Url {
  field: keyof Places
  url: string
  /** The policy that judges it. */
  policy: GuardPolicy
}

/** What a job makes us connect to; where it has a proxy, only that connects to `url`. */
export function urlsOf(body: Places): Url[] {
  const urls: Url[] = [{ field: 'url', url: body.url, policy: 'downloads' }]
  if (body.aggr_proxy) urls.push({ field: 'aggr_proxy', url: body.aggr_proxy, policy: 'downloads' })
  for (const { type, dst, fields } of [callbackOf(body), errorCallbackOf(body)]) {
    const url = type && dst ? destinationUrl(type, dst) : undefined
    if (url) urls.push({ field: fields[1], url, policy: 'callbacks' })
  }
  return urls
}

/** undefined for a topic: where that is, the brokers say. */
function destinationUrl(type: CallbackType, destination: string): string | undefined {
  if (type === 'kafka') return undefined
  return type === 'sqs' && !destination.includes('://') ? `https://${destination}` : destination
}

/** What is wrong with where a callback goes, if anything. */
export function destinationFault(type: CallbackType, destination: string): string | undefined {
  if (type === 'kafka') return isTopicName(destination) ? undefined : 'must be the name of a Kafka topic'
  if (type === 'http') return isHttpUrl(destination) ? undefined : 'must be an http or https URL'
  const url = destinationUrl(type, destination) ?? ''
  if (!isHttpUrl(url) || !/[^/]\/[^/]/.test(destination)) return 'must be the URL of an SQS queue'
  const { username, password } = new URL(url)
  return username || password ? 'must be the URL of an SQS queue, without user and password' : undefined
}

export function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return (protocol === 'http:' || protocol === 'https:') && hostname !== ''
}
