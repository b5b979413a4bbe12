/** A token: RFC 9110, section 5.6.2. */
export const headerName = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/** What would end the header, or the head. */
export const unsafeHeaderValue = /[\r\n\0]/

/** Headers that say who asks. */
export const credentialHeaders: readonly string[] = ['authorization', 'cookie', 'cookie2']

/** Headers that belong to the connection, not to the request (RFC 9110, section 7.6.1): the HTTP client makes them. */
const connectionHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** The headers without those that belong to the connection, whatever case their names are in. */
export function withoutConnectionHeaders<Value>(headers: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !connectionHeaders.has(name.toLowerCase())))
}

/** RFC 7617: the credentials in a URL as the value of `Authorization`; undefined when there are none. */
export function basicAuthorization({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  const credentials = `${percentDecoded(username)}:${percentDecoded(password)}`
  return `Basic ${Buffer.from(credentials).toString('base64')}`
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // a lone % means itself
  }
}
