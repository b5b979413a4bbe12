import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { PostDownloadBody } from '#client'

/** One line of what is to be enqueued. */
export interface Entry {
  /** From 1. */
  line: number
  url: string
  /** The job, or what is wrong with the line. */
  job: PostDownloadBody | string
}

export interface Defaults {
  /** Unless given, the URL's host. */
  aggrId?: string | undefined
  limit: number
  /** An HTTP receiver; unless given, nobody is called back. */
  callback?: string | undefined
}

const MAX_LINE = 1024 * 1024

/** Lines are URLs, or jobs as JSON whose missing fields are filled in; empty ones and those that begin with # are none. */
export async function* entriesOf(input: Readable, defaults: Defaults): AsyncGenerator<Entry> {
  let line = 0
  for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    const trimmed = text.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    if (trimmed.length > MAX_LINE) yield { line, url: '', job: 'the line is too long' }
    else yield { line, ...entryOf(trimmed, defaults) }
  }
}

function entryOf(text: string, defaults: Defaults): Omit<Entry, 'line'> {
  if (!text.startsWith('{')) return { url: text, job: jobOf({ url: text }, defaults) }
  try {
    const given = JSON.parse(text) as Partial<PostDownloadBody>
    return { url: String(given.url ?? ''), job: jobOf(given, defaults) }
  } catch (error) {
    return { url: '', job: `is not JSON: ${(error as Error).message}` }
  }
}

/** A job of what is known of it, or what is wrong with it; the API judges the rest. */
export function jobOf(given: Partial<PostDownloadBody>, { aggrId, limit, callback }: Defaults) {
  const { url } = given
  if (typeof url !== 'string') return 'url: is missing'
  if (!URL.canParse(url) || !/^https?:/i.test(url)) return 'url: must be an http or https URL'
  const called = given.callback_type ?? given.callback_dst ?? given.callback_url ?? given.s3_bucket
  const receiver = callback ? { callback_type: 'http', callback_dst: callback } : { callback_type: 'none' }
  const job = {
    aggr_id: aggrId ?? new URL(url).host,
    aggr_limit: limit,
    ...(called === undefined && receiver),
    ...given,
  }
  return job as PostDownloadBody
}
