/** What a job's `mime_type` asks of the type that is found. */
export interface MimePattern {
  /**
   * @param found a type without parameters, e.g. `image/png`
   * @returns the client's error text, or undefined when every part holds
   */
  check(found: string): string | undefined
}

interface Part {
  /** As the client wrote it, without the `!`. */
  glob: string
  negated: boolean
}

/** Control characters of ASCII and Latin-1. */
const CONTROL = /\p{Cc}/u

/**
 * Reads comma-separated globs (`*` any run of characters, `?` any one), of which all must hold; `!` in front negates.
 * Letter case does not matter, neither does white space around a part; empty parts ask for nothing.
 *
 * @throws {Error} with a message for the client when the text is no such pattern
 */
export function parseMimePattern(text: string): MimePattern {
  if (CONTROL.test(text)) throw new Error('must not hold control characters')
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parsePart)

  return {
    check(found) {
      const failed = parts.find(({ glob, negated }) => matches(glob.toLowerCase(), found.toLowerCase()) === negated)
      return failed && `Expected mime-type ${failed.negated ? 'not ' : ''}to be (${failed.glob}), found (${found})`
    },
  }
}

function parsePart(part: string): Part {
  const negated = part.startsWith('!')
  const glob = negated ? part.slice(1).trim() : part
  if (glob === '' || glob.startsWith('!')) throw new Error(`has a ! without a mime-type after it: ${part}`)
  return { glob, negated }
}

/**
 * Whether the whole text matches. A mismatch resumes at the last `*` only, never at one before it, so the steps are
 * at most length of glob × length of text whatever the glob.
 */
function matches(glob: string, text: string): boolean {
  let at = 0
  let g = 0
  let star = -1 // where the glob goes on after the last `*`
  let starAt = 0 // where the text goes on if that `*` takes no more
  while (at < text.length) {
    if (glob[g] === '*') {
      g++
      star = g
      starAt = at
    } else if (g < glob.length && (glob[g] === '?' || glob[g] === text[at])) {
      g++
      at++
    } else if (star >= 0) {
      starAt++
      g = star
      at = starAt
    } else {
      return false
    }
  }
  while (glob[g] === '*') g++
  return g === glob.length
}
