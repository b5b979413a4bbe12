import { jsonType } from './json.ts'
import { confirmedType } from './known-types.ts'
import { guessType, signatureType, UNKNOWN } from './signatures.ts'
import { readText } from './text.ts'
import { textType } from './text-type.ts'
import { zipType } from './zip.ts'

/**
 * How many first bytes decide. libmagic's rules for text look at 4 to 8 KiB (twice that in UTF-16), and the members
 * that tell an Office document from any other ZIP archive lie within the first few KiB.
 */
export const SNIFF_BYTES = 16 * 1024

/** Binary formats that libmagic recognizes even where no byte of them looks binary. */
const EVEN_IN_TEXT = new Set([
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/vnd.dwg',
  'image/fits',
  'image/x-portable-bitmap',
  'image/x-portable-greymap',
  'image/x-portable-pixmap',
  'audio/flac',
  'audio/mpeg',
  'audio/amr',
  'font/woff',
  'font/woff2',
  'application/x-archive',
  'application/vnd.debian.binary-package',
  'application/x-bzip2',
  'application/x-cpio',
  'application/x-bittorrent',
  'application/vnd.ms-opentype',
])

/** Our own signatures find these, but for what begins with such a byte: file-type costs as much as all the rest. */
const FILE_TYPE_KNOWS = new Set([0xff, 0xc7, 0xd0])

/**
 * The type of a body by its first bytes, with libmagic's names (`file --mime-type`; where they
 * deliberately differ, and why: `test/processor/verify/differences.ts`). Never throws, and takes a bounded time whatever the bytes.
 *
 * @param head the body's first `SNIFF_BYTES` or more, or all of it when it is shorter
 * @param complete whether the body ended within `head`
 * @param fileType file-type's name of what the bytes are, or undefined; asked only where our own signatures say nothing
 */
export async function detectMime(
  head: Uint8Array,
  complete: boolean,
  fileType: (head: Uint8Array) => Promise<string | undefined>,
): Promise<string> {
  // what is behind the first bytes is there by chance of how the body was chunked
  const first = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, SNIFF_BYTES))
  const whole = complete && head.length <= SNIFF_BYTES
  if (first.length === 0) return whole ? 'application/x-empty' : UNKNOWN
  if (first.length === 1) return UNKNOWN // as libmagic: nothing can be said of one byte

  const json = jsonType(first, whole)
  if (json) return json
  const text = readText(first)
  // also of text: a short header, or one padded with NULs, may hold nothing that text could not
  let binary = signatureType(first) ?? zipType(first)
  if (!text || text.padded || FILE_TYPE_KNOWS.has(first[0] ?? 0)) binary ??= await confirmed(first, fileType)
  if (text && !(binary && (text.padded || EVEN_IN_TEXT.has(binary)))) return textType(first, text)
  return binary ?? guessType(first) ?? UNKNOWN
}

/** file-type's opinion with libmagic's name, where it holds. */
async function confirmed(head: Buffer, fileType: (head: Uint8Array) => Promise<string | undefined>) {
  const found = await fileType(head)
  return found && confirmedType(found, head)
}
