const MASK = '(masked)'
/** Also of keys that only librdkafka knows: `sasl.jaas.config`, `ssl.key.pem`. */
const SECRET = /password|passphrase|secret|token|authorization|cookie|credential|api.?key|jaas|private|\.pem$/i
/** Headers whose values are known to be no secrets; any other may be one. */
const OPEN_HEADERS = /^(user-agent|accept(-.*)?|referer|from|cache-control|pragma)$/i

/** A copy of a configuration that may be shown: secrets are masked, and in URLs passwords and queries. */
export function masked(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return SECRET.test(name) ? MASK : withoutSecrets(value)
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

/** A name without a password may be a token. What follows `?` often is. */
function withoutSecrets(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text
  return text
    .replace(/^([^/]+:\/\/)([^/?#]*)@/, (_, scheme: string, credentials: string) => {
      const [user] = credentials.split(':', 1)
      return `${scheme}${credentials.includes(':') ? `${user}:${MASK}` : MASK}@`
    })
    .replace(/\?[^#]+/, `?${MASK}`)
}
