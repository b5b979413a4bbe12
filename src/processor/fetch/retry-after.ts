const longestMs = 3_600_000

/**
 * RFC 9110, section 10.2.3: how long a response asks us to wait, in ms, an hour at most.
 *
 * @param value seconds, or a date; anything else asks for nothing, and so does a moment that has passed
 */
export function retryAfterMs(value: string | string[] | undefined, now = Date.now()): number | undefined {
  const text = (Array.isArray(value) ? value[0] : value)?.trim() ?? ''
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) - now : 0
  return ms > 0 ? Math.min(ms, longestMs) : undefined
}
