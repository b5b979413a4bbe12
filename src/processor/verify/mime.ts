import { fileTypeFromBuffer } from 'file-type'
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

/** What these begin with: no other text needs to be looked at for them, which costs as much as all the rest. */
const THEIR_FIRST_BYTES = new Set(Buffer.from('GRASPfI#w!B0dOq\xff\xc7\xd0', 'latin1'))

/**
 * The type of a body by its first bytes, with libmagic's names (`file --mime-type`; where they
 * deliberately differ, and why: `test/processor/verify/differences.ts`). Never throws, and takes a bounded time whatever the bytes.
 *
 * @param head the body's first `SNIFF_BYTES` or more, or all of it when it is shorter
 * @param complete whether the body ended within `head`
 */
export async function detectMime(head: Uint8Array, complete: boolean): Promise<string> {
  // what is behind the first bytes is there by chance of how the body was chunked
  const first = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, SNIFF_BYTES))
  const whole = complete && head.length <= SNIFF_BYTES
  if (first.length === 0) return whole ? 'application/x-empty' : UNKNOWN
  if (first.length === 1) return UNKNOWN // as libmagic: nothing can be said of one byte

  const json = jsonType(first, whole)
  if (json) return json
  const text = readText(first)
  if (text && !text.padded && !THEIR_FIRST_BYTES.has(first[0] ?? 0)) return textType(first, text)
  // also of text: a short header, or one padded with NULs, may hold nothing that text could not
  const binary = signatureType(first) ?? zipType(first) ?? (await fileType(first))
  if (text && !(binary && (text.padded || EVEN_IN_TEXT.has(binary)))) return textType(first, text)
  return binary ?? guessType(first) ?? UNKNOWN
}

/** file-type's opinion with libmagic's name, or undefined: also for hostile content that makes file-type throw. */
async function fileType(head: Buffer): Promise<string | undefined> {
  try {
    const found = await fileTypeFromBuffer(head)
    return found && confirmedType(found.mime, head)
  } catch {
    return undefined
  }
}
