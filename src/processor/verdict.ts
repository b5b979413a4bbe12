import type { JobError } from '../jobs/errors.ts'
import { hostOf } from '../jobs/host.ts'
import type { Verdict } from '../jobs/places.ts'

/** The host refuses, or does not answer: what opens its circuit breaker (docs/politeness.md). */
const DOWN = /^(connect\.(refused|reset|timeout|failed)|timeout\.headers|http\.5\d\d)$/
/** Whoever says one of these has answered. */
const ANSWERED = /^(http\.4\d\d|mime\.mismatch|image\.size|limit\.bytes|storage\.\w+)$/

/** The origin was asked too fast: nothing is wrong with the job. */
export const isThrottled = ({ code, retryAfterMs }: JobError): boolean =>
  code === 'http.429' || (code === 'http.503' && retryAfterMs !== undefined)

/** For how long the host of the job's URL asked to be left alone; the host of a redirect speaks for itself only. */
export const holdOf = ({ retryAfterMs, redirected }: JobError): number | undefined =>
  redirected ? undefined : retryAfterMs

/**
 * What an attempt says of the host of its URL; nothing where a proxy, or the host of a redirect, may be to blame.
 *
 * @param failure undefined: it succeeded
 * @returns undefined for a URL of which we do not know the host
 */
export function verdictOn(url: string, proxied: boolean, failure?: JobError): Verdict | undefined {
  const host = hostOf(url)
  return host === '' ? undefined : { host, says: proxied ? '' : says(failure) }
}

function says(failure: JobError | undefined): Verdict['says'] {
  if (!failure) return 'ok'
  const redirected = failure.redirected || (failure.responseCode >= 300 && failure.responseCode < 400)
  if (redirected) return ''
  if (isThrottled(failure)) return 'throttled'
  if (DOWN.test(failure.code)) return 'down'
  return ANSWERED.test(failure.code) && failure.responseCode > 0 ? 'ok' : ''
}
