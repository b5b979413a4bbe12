/** As libmagic: that many lines decide. */
const LINES = 10

const QUOTE = 0x22
const COMMA = 0x2c
const LINE_FEED = 0x0a

/**
 * Whether text is comma-separated values as libmagic's is_csv.c sees them: the first ten lines (at least three) hold
 * the same number of commas, at least one, outside of quotes. A last line without its line feed does not count.
 */
export function isCsv(bytes: Uint8Array): boolean {
  let commas = 0
  let expected = 0
  let lines = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      at = quoteEnd(bytes, at) - 1
    } else if (byte === COMMA) {
      commas++
    } else if (byte === LINE_FEED) {
      lines++
      if (lines === 1) expected = commas
      if (commas === 0 || commas !== expected) return false
      if (lines === LINES) return true
      commas = 0
    }
  }
  return lines > 2
}

/** Behind the closing quote of the field that opens at `start`; a doubled quote stands for one. */
function quoteEnd(bytes: Uint8Array, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    if (bytes[at] !== QUOTE) continue
    if (bytes[at + 1] !== QUOTE) return at + 1
    at++
  }
  return bytes.length
}
