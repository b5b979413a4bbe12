import { JobError } from '../../jobs/errors.ts'
import { contentCodings, decoded } from './decoding.ts'
import { contentLength, type Response } from './exchange.ts'
import type { FetchResponse } from './fetch.ts'
import { versionOf } from './version.ts'

/**
 * What a response brings, with its encodings undone and its size watched.
 *
 * @param url where it came from, without credentials
 * @param maxBytes 0 means no limit
 * @param decodes whether the content encodings are ours to undo
 * @throws {JobError} `limit.bytes` when the response's head says that it is too large, `body.encoding`
 */
export function received(
  { status, headers, body: raw }: Response,
  url: URL,
  redirects: number,
  maxBytes: number,
  decodes: boolean,
): FetchResponse {
  const circumstances = { host: url.host, status, redirectStatus: 0 }
  const codings = decodes ? contentCodings(headers['content-encoding'], circumstances) : []
  const length = codings.length === 0 ? contentLength(headers) : undefined
  if (maxBytes > 0 && length !== undefined && length > maxBytes) throw tooLarge(`${length} bytes`, maxBytes, status)

  let body: AsyncIterable<Uint8Array> = raw
  for (const coding of codings.reverse()) body = decoded(body, coding, circumstances)
  if (maxBytes > 0) body = limited(body, maxBytes, status)
  return {
    status,
    headers,
    url: url.href,
    redirects,
    from: 0,
    version: versionOf({ status, headers, url }, length),
    body,
    discard() {
      const ended = raw.discard()
      if (body !== raw) {
        body[Symbol.asyncIterator]()
          .return?.()
          .catch(() => {}) // lets go of the decoders
      }
      return ended
    },
  }
}

async function* limited(source: AsyncIterable<Uint8Array>, maxBytes: number, status: number) {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    if (bytes > maxBytes) throw tooLarge('the body', maxBytes, status)
    yield chunk
  }
}

function tooLarge(what: string, maxBytes: number, status: number): JobError {
  return new JobError('limit.bytes', `${what} is more than max_bytes allows: ${maxBytes} bytes`, {
    retriable: false,
    responseCode: status,
  })
}
