/** Text that was found in a head. */
export interface Text {
  /** Without its byte order mark. Bytes outside of ASCII are Latin-1 unless it is UTF-16: no rule looks at them. */
  content: string
  encoding: 'single-byte' | 'utf-16' | 'utf-32'
  /** Whether NULs follow the text to the end of the head, which no text file has but many a binary header. */
  padded: boolean
}

/**
 * What no text holds: control characters, but those that text has for libmagic (BEL, BS, HT, LF, VT, FF, CR, ESC).
 * Everything from 0x80 on is a letter in some legacy encoding.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const NEVER_IN_TEXT = /[\0-\x06\x0e-\x1a\x1c-\x1f\x7f]/

/**
 * Reads a head as text, as libmagic's encoding.c does: without control characters that text does not have; UTF-16 and
 * UTF-32 need their byte order mark; trailing NULs do not count. A character that the head cuts in two harms nothing,
 * since what is no UTF-8 is still text in a legacy encoding.
 *
 * @returns undefined for binary
 */
export function readText(head: Buffer): Text | undefined {
  if (head.length < 2) return undefined
  if (startsWith(head, [0xff, 0xfe, 0, 0]) || startsWith(head, [0, 0, 0xfe, 0xff])) {
    return wideText(head, 4, head[0] === 0xff)
  }
  if (startsWith(head, [0xff, 0xfe]) || startsWith(head, [0xfe, 0xff])) return wideText(head, 2, head[0] === 0xff)

  const start = startsWith(head, [0xef, 0xbb, 0xbf]) ? 3 : 0
  let end = head.length
  while (end > 1 && head[end - 1] === 0) end--
  const content = head.toString('latin1', start, end)
  if (NEVER_IN_TEXT.test(content)) return undefined
  return { content, encoding: 'single-byte', padded: end < head.length }
}

/** UTF-16 or UTF-32: 2 or 4 bytes a unit; what is left over at the end is ignored. */
function wideText(head: Buffer, width: 2 | 4, littleEndian: boolean): Text | undefined {
  const units: number[] = []
  for (let at = width; at + width <= head.length; at += width) {
    const unit = littleEndian ? head.readUIntLE(at, width) : head.readUIntBE(at, width)
    units.push(unit > 0xffff ? 0xfffd : unit)
  }
  const content = stringOf(units)
  if (NEVER_IN_TEXT.test(content)) return undefined
  return { content, encoding: width === 2 ? 'utf-16' : 'utf-32', padded: false }
}

function stringOf(units: number[]): string {
  return Buffer.from(Uint16Array.from(units).buffer).toString('utf16le')
}

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((byte, at) => bytes[at] === byte)
}
