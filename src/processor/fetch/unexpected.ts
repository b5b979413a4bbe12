import type { IncomingHttpHeaders } from 'node:http'
import { JobError } from '../../jobs/errors.ts'
import { statusText } from './errors.ts'
import { redirectStatuses } from './redirects.ts'

/**
 * The failure that a response below 400 is, when it answers something else than what was asked; undefined when it is the
 * file, or a redirect that says where it is. 204 and 205 say that the file is empty.
 *
 * @param asked names of the request's headers, in lower case
 */
export function unexpected(
  { status, headers }: { status: number; headers: IncomingHttpHeaders },
  asked: { has(name: string): boolean },
  host: string,
): JobError | undefined {
  if (status < 300 ? status !== 206 : redirectStatuses.has(status)) return undefined
  if (status === 206 && (asked.has('range') || isWhole(headers['content-range']))) return undefined
  if (status === 304 && (asked.has('if-none-match') || asked.has('if-modified-since'))) return undefined
  return new JobError('response.unexpected', `${host} answered ${statusText(status)}, which was not asked for`, {
    responseCode: status,
    retriable: status === 206 || status === 304, // a cache that is broken, seldom the only one
  })
}

/** RFC 9110, section 14.4: `bytes 0-9/10` */
function isWhole(contentRange = ''): boolean {
  const [, first, last, size] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/i.exec(contentRange) ?? []
  return Number(first) === 0 && Number(last) + 1 === Number(size)
}
