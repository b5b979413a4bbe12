import type { IncomingMessage, ServerResponse } from 'node:http'

/** A file as an origin serves it. */
export interface Served {
  body: Buffer
  /** Its validators, above all. */
  headers: Record<string, string>
}

/** What an answer does otherwise than it should. */
export interface Fault {
  /** Bytes of the body after which the connection is closed. */
  cutAfter?: number
  /** As `cutAfter`, but the connection stays open, and silent. */
  stallAfter?: number
}

/**
 * Answers as a server does that knows ranges (RFC 9110, section 14): the rest where `If-Range` names this very version,
 * and else the whole. Resolves to the bytes of body that were sent, when the response is over or silent.
 */
export async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { body, headers }: Served,
  { cutAfter = Number.POSITIVE_INFINITY, stallAfter = Number.POSITIVE_INFINITY }: Fault = {},
): Promise<number> {
  const [, from] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? []
  const known = request.headers['if-range']
  const isRange = from !== undefined && (known === undefined || Object.values(headers).includes(String(known)))
  const rest = isRange ? body.subarray(Number(from)) : body
  if (isRange) headers = { ...headers, 'content-range': `bytes ${from}-${body.length - 1}/${body.length}` }
  response.writeHead(isRange ? 206 : 200, { 'content-length': rest.length, ...headers })
  const bytes = Math.min(rest.length, cutAfter, stallAfter)
  await new Promise((resolve) => {
    response.once('close', resolve)
    response.write(rest.subarray(0, bytes), resolve)
  })
  if (bytes === rest.length) response.end()
  else if (bytes === cutAfter) response.destroy()
  return bytes
}
