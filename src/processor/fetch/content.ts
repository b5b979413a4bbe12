import { JobError } from '../../jobs/errors.ts'
import type { ResponseBody } from './body-queue.ts'
import { contentCodings, decoded } from './decoding.ts'
import type { Circumstances } from './errors.ts'
import { contentLength, type Response } from './exchange.ts'
import type { FetchResponse } from './fetch.ts'
import { versionOf } from './version.ts'

/** 0 means none. */
export interface Limits {
  /** Decoded. */
  bytes: number
  /** Decoded bytes for each that came. */
  ratio: number
}

/**
 * What a response brings, with its encodings undone and its size watched.
 *
 * @param url where it came from, without credentials
 * @param most 0 means no limit
 * @param decodes whether the content encodings are ours to undo
 * @throws {JobError} `limit.bytes` when the response's head says that it is too large, `body.encoding`
 */
export function received(
  { status, headers, body: raw }: Response,
  url: URL,
  redirects: number,
  most: Limits,
  decodes: boolean,
): FetchResponse {
  failOnTransferCoding(headers['transfer-encoding'], url.host, status)
  const circumstances = { host: url.host, status, redirectStatus: 0 }
  const codings = decodes ? contentCodings(headers['content-encoding'], circumstances) : []
  const length = codings.length === 0 ? contentLength(headers) : undefined
  if (most.bytes > 0 && length !== undefined && length > most.bytes)
    throw tooLarge(`${length} bytes`, most.bytes, status)

  let body: AsyncIterable<Uint8Array> = raw
  for (const coding of codings.reverse()) body = decoded(body, coding, circumstances)
  if (most.bytes > 0 || body !== raw) body = limited(body, raw, most, circumstances)
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

/** RFC 9112, section 6.1: other codings than this are sent to who asks for them, and we do not. */
function failOnTransferCoding(coding = 'chunked', host: string, responseCode: number): void {
  if (coding.trim().toLowerCase() === 'chunked') return
  const text = `${host} sent a body in the transfer encoding ${coding.slice(0, 80)}, which was not asked for`
  throw new JobError('body.encoding', text, { retriable: false, responseCode })
}

/** What is smaller than this may be as dense as it likes. */
const smallBytes = 16 * 1024 * 1024

/** @param raw what `source` is decoded from, or `source` itself */
async function* limited(
  source: AsyncIterable<Uint8Array>,
  raw: ResponseBody,
  most: Limits,
  { host, status }: Circumstances,
) {
  let bytes = 0
  for await (const chunk of source) {
    bytes += chunk.length
    if (most.bytes > 0 && bytes > most.bytes) throw tooLarge('the body', most.bytes, status)
    if (most.ratio > 0 && bytes > smallBytes && bytes > raw.bytes * most.ratio) throw tooDense(host, most.ratio, status)
    yield chunk
  }
}

function tooLarge(what: string, maxBytes: number, status: number): JobError {
  return new JobError('limit.bytes', `${what} is more than max_bytes allows: ${maxBytes} bytes`, {
    retriable: false,
    responseCode: status,
  })
}

function tooDense(host: string, ratio: number, status: number): JobError {
  const text = `the body of ${host} decodes to more than max_decode_ratio allows: ${ratio} times its bytes`
  return new JobError('limit.ratio', text, { retriable: false, responseCode: status })
}
