import { pipeline, type Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'
import { JobError } from '../../jobs/errors.ts'
import { type Circumstances, decodingFailure } from './errors.ts'

/** What we ask for, when the job does not ask itself. */
export const acceptEncoding = 'gzip, deflate, br'

type Coding = 'gzip' | 'deflate' | 'br'
const codings = new Map<string, Coding>([
  ['gzip', 'gzip'],
  ['x-gzip', 'gzip'],
  ['deflate', 'deflate'],
  ['br', 'br'],
])
/** Registered codings that we cannot decode and did not ask for. */
const foreignCodings = new Set(['compress', 'x-compress', 'zstd', 'dcb', 'dcz', 'exi', 'pack200-gzip'])
const mostCodings = 3
const chunkSize = 64 * 1024

/**
 * The codings of a body, as they were applied. Words that name no coding at all (`utf-8`, `none`, `aws-chunked`) are
 * common mistakes and mean nothing, as in browsers and Go.
 *
 * @throws {JobError} `body.encoding` for codings that we cannot undo
 */
export function contentCodings(header: string | string[] | undefined, { host, status }: Circumstances): Coding[] {
  if (header === undefined) return []
  const names = String(header)
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  const known = names.flatMap((name) => codings.get(name) ?? [])
  const foreign = names.find((name) => foreignCodings.has(name))
  if (foreign === undefined && known.length <= mostCodings) return known
  const what = foreign === undefined ? `${known.length} content encodings, ${mostCodings} at most are decoded` : foreign
  throw new JobError('body.encoding', `${host} sent a body in ${what}, which was not asked for`, {
    responseCode: status,
    retriable: false,
  })
}

/**
 * The content that `coding` was applied to, decoded as it comes and no faster than it is read. An empty body is empty
 * content, whatever the headers say; bytes behind the end of the coded data are ignored.
 */
export async function* decoded(
  source: AsyncIterable<Uint8Array>,
  coding: Coding,
  circumstances: Circumstances,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoded = source[Symbol.asyncIterator]()
  const first = await encoded.next()
  if (first.done) return
  const decoder = newDecoder(coding, first.value)
  const upstream = startingWith(first.value, encoded)
  try {
    for await (const chunk of pipeline(upstream.chunks, decoder, () => {})) yield chunk
  } catch (error) {
    throw upstream.failure() ?? decodingFailure(error, coding, circumstances)
  } finally {
    decoder.destroy()
    await encoded.return?.()
  }
}

/** Puts back what was read, and remembers an error of the source: it must not pass for one of the decoder. */
function startingWith(first: Uint8Array, rest: AsyncIterator<Uint8Array>) {
  let failure: unknown
  async function* chunks() {
    yield first
    try {
      for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
    } catch (error) {
      failure = error
      throw error
    }
  }
  return { chunks: chunks(), failure: () => failure }
}

function newDecoder(coding: Coding, [firstByte = 0]: Uint8Array): Transform {
  if (coding === 'gzip') return createGunzip({ chunkSize })
  if (coding === 'br') return createBrotliDecompress({ chunkSize })
  // RFC 9110 says zlib, many servers send what is inside of it: RFC 1950's header begins with method 8
  return (firstByte & 0x0f) === 8 ? createInflate({ chunkSize }) : createInflateRaw({ chunkSize })
}
