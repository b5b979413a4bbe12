const MASK = '(masked)'
const SECRET = /password|secret|token|authorization|cookie|credential|api.?key/i
/** Headers whose values are known to be no secrets; any other may be one. */
const OPEN_HEADERS = /^(user-agent|accept(-.*)?|referer|from|cache-control|pragma)$/i

/** A copy of a configuration that may be shown: secrets, and passwords in URLs, are masked. */
export function masked(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return SECRET.test(name) ? MASK : withoutPassword(value)
  if (Array.isArray(value)) return value.map((item) => masked(item, name))
  if (typeof value !== 'object' || value === null) return value
  const isHeaders = name === 'request_headers'
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      isHeaders && !OPEN_HEADERS.test(key) ? MASK : masked(inner, key),
    ]),
  )
}

function withoutPassword(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text
  return text.replace(/^([^/]+:\/\/)([^/?#]*)@/, (_, scheme: string, credentials: string) => {
    const [user] = credentials.split(':', 1)
    return `${scheme}${credentials.includes(':') ? `${user}:${MASK}` : credentials}@`
  })
}
