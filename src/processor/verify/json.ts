/** As libmagic: deeper nesting is not called JSON. */
const MAX_DEPTH = 251

const INVALID = -1
/** The bytes ended inside a value that was valid so far. */
const CUT = -2

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const BACKSLASH = 0x5c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/**
 * Whether bytes are one JSON array or object, or begin with one per line (NDJSON). As lenient as libmagic's is_json.c:
 * commas before a closing bracket and any bytes within strings are fine; scalars alone are no JSON; of NDJSON only the
 * first two values are looked at.
 *
 * @param complete whether the body ends here; otherwise a valid beginning counts too
 */
export function jsonType(bytes: Uint8Array, complete: boolean): string | undefined {
  const start = skipSpace(bytes, 0)
  const opening = bytes[start]
  if (opening !== OPEN_ARRAY && opening !== OPEN_OBJECT) return undefined

  const end = valueEnd(bytes, start)
  if (end === CUT) return complete ? undefined : 'application/json'
  if (end === INVALID) return undefined
  const second = skipSpace(bytes, end)
  if (second === bytes.length) return 'application/json'
  if (bytes[second] !== opening) return undefined
  const secondEnd = valueEnd(bytes, second)
  return secondEnd >= 0 || (secondEnd === CUT && !complete) ? 'application/x-ndjson' : undefined
}

/** Where the array or object ends that begins at `start`; a loop, because hostile nesting would overflow the stack. */
function valueEnd(bytes: Uint8Array, start: number): number {
  const open: number[] = []
  let at = start
  while (at < bytes.length) {
    const byte = bytes[at] as number
    const container = open.at(-1)
    let end: number // of the scalar or bracket at hand
    if (byte === closing(container)) {
      open.pop()
      end = at + 1
    } else {
      let value = at
      if (container === OPEN_OBJECT) {
        value = keyEnd(bytes, at)
        if (value < 0) return value
        if (value === bytes.length) return CUT
      }
      const first = bytes[value] as number
      if (first === OPEN_ARRAY || first === OPEN_OBJECT) {
        if (open.length === MAX_DEPTH) return INVALID
        open.push(first)
        at = skipSpace(bytes, value + 1)
        continue
      }
      end = scalarEnd(bytes, value)
      if (end < 0) return end
    }

    if (open.length === 0) return end
    at = skipSpace(bytes, end)
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1)
    else if (at < bytes.length && bytes[at] !== closing(open.at(-1))) return INVALID
  }
  return CUT
}

function closing(opening: number | undefined): number | undefined {
  if (opening === OPEN_ARRAY) return CLOSE_ARRAY
  return opening === OPEN_OBJECT ? CLOSE_OBJECT : undefined
}

/** Where the value after a key and its colon begins. */
function keyEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== QUOTE) return INVALID
  const end = stringEnd(bytes, start)
  if (end < 0) return end
  const colon = skipSpace(bytes, end)
  if (colon === bytes.length) return CUT
  return bytes[colon] === COLON ? skipSpace(bytes, colon + 1) : INVALID
}

function scalarEnd(bytes: Uint8Array, start: number): number {
  switch (bytes[start]) {
    case QUOTE:
      return stringEnd(bytes, start)
    case 0x74:
      return wordEnd(bytes, start, 'true')
    case 0x66:
      return wordEnd(bytes, start, 'false')
    case 0x6e:
      return wordEnd(bytes, start, 'null')
    default:
      return numberEnd(bytes, start)
  }
}

const ESCAPES = new Set(Array.from('"\\/bfnrt', (char) => char.charCodeAt(0)))

function stringEnd(bytes: Uint8Array, start: number): number {
  for (let at = start + 1; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (byte === QUOTE) return at + 1
    if (byte === 0) return INVALID
    if (byte !== BACKSLASH) continue
    at++
    if (at >= bytes.length) return CUT
    if (bytes[at] === 0x75) {
      for (let digit = 0; digit < 4; digit++) {
        at++
        if (at >= bytes.length) return CUT
        if (!isHex(bytes[at] as number)) return INVALID
      }
    } else if (!ESCAPES.has(bytes[at] as number)) {
      return INVALID
    }
  }
  return CUT
}

function wordEnd(bytes: Uint8Array, start: number, word: string): number {
  for (let i = 0; i < word.length; i++) {
    if (start + i >= bytes.length) return CUT
    if (bytes[start + i] !== word.charCodeAt(i)) return INVALID
  }
  return start + word.length
}

function numberEnd(bytes: Uint8Array, start: number): number {
  const integer = bytes[start] === 0x2d ? start + 1 : start
  const integerEnd = skipDigits(bytes, integer)
  const fraction = bytes[integerEnd] === 0x2e ? integerEnd + 1 : integerEnd
  let at = skipDigits(bytes, fraction)
  let digits = integerEnd - integer + at - fraction
  if (digits > 0 && (bytes[at] === 0x65 || bytes[at] === 0x45)) {
    const sign = bytes[at + 1]
    const exponent = at + (sign === 0x2b || sign === 0x2d ? 2 : 1)
    at = skipDigits(bytes, exponent)
    digits = at - exponent
  }
  if (at >= bytes.length) return CUT
  return digits > 0 ? at : INVALID
}

function skipDigits(bytes: Uint8Array, start: number): number {
  let at = start
  while (at < bytes.length && isDigit(bytes[at] as number)) at++
  return at
}

function skipSpace(bytes: Uint8Array, start: number): number {
  let at = start
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++
  return at
}

const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39
const isHex = (byte: number) => isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66)
