/** libmagic looks for the tags of HTML in that many characters. */
const TAG_WINDOW = 4096

/** How much may stand in front of the root element: comments, processing instructions, a doctype with its entities. */
const MAX_PROLOG_ITEMS = 64

/** Tags that make text HTML wherever they stand, as in libmagic's `sgml`: in lower case, complete or with attributes. */
const HTML_TAGS = ['html', 'head', 'title', 'script', 'style', 'table'].map((name) => `<${name}`)

/**
 * The type of text that begins as markup does: HTML, SVG, XML. White space and comments may come first, even where
 * libmagic wants the tag at once.
 */
export function markupType(text: string): string | undefined {
  const { doctype, root } = readProlog(text)
  if (doctype === 'svg' || root === 'svg') return 'image/svg+xml'
  if (/^<\?xml/i.test(text)) return 'text/xml' // XHTML too
  return doctype === 'html' || root === 'html' ? 'text/html' : undefined
}

/** Whether HTML stands somewhere in the first characters of text that does not begin with it. */
export function holdsHtml(text: string): boolean {
  const lower = text.slice(0, TAG_WINDOW).toLowerCase()
  if (/<!doctype\s+html/.test(lower) || /<a\s+href=/.test(lower)) return true
  return HTML_TAGS.some((tag) => {
    // each occurrence costs one look at the character behind it
    for (let at = lower.indexOf(tag); at >= 0; at = lower.indexOf(tag, at + 1)) {
      if (/[\s>]/.test(lower.charAt(at + tag.length))) return true
    }
    return false
  })
}

interface Prolog {
  /** Name of the document type, in lower case; `''` when there is none. */
  doctype: string
  /** Local name of the first element, in lower case; `''` when the text holds none, or something else in front. */
  root: string
}

/** Walks over what may stand in front of the first element. Each item is skipped by one search for its end. */
function readProlog(text: string): Prolog {
  let doctype = ''
  let at = 0
  for (let items = 0; items < MAX_PROLOG_ITEMS; items++) {
    at = skipSpace(text, at)
    if (text.startsWith('<!--', at)) {
      at = behind(text, '-->', at + 4)
    } else if (text.startsWith('<?', at)) {
      at = behind(text, '?>', at + 2)
    } else if (/^<!doctype\s/i.test(text.slice(at, at + 10))) {
      doctype = nameAt(text, skipSpace(text, at + 9))
      at = doctypeEnd(text, at)
    } else {
      return { doctype, root: text[at] === '<' ? nameAt(text, at + 1).replace(/^[^:]*:/, '') : '' }
    }
    if (at < 0) break
  }
  return { doctype, root: '' }
}

/** Behind a doctype, whose entities stand in brackets. */
function doctypeEnd(text: string, start: number): number {
  const close = text.indexOf('>', start)
  const bracket = text.indexOf('[', start)
  if (close < 0 || bracket < 0 || close < bracket) return close < 0 ? -1 : close + 1
  const end = text.indexOf(']', bracket)
  return end < 0 ? -1 : behind(text, '>', end)
}

/** Where text goes on behind the next `mark`, or -1. */
function behind(text: string, mark: string, start: number): number {
  const at = text.indexOf(mark, start)
  return at < 0 ? -1 : at + mark.length
}

function nameAt(text: string, start: number): string {
  const name = /^[\w:.-]+/.exec(text.slice(start, start + 64))
  return name ? name[0].toLowerCase() : ''
}

function skipSpace(text: string, start: number): number {
  let at = start
  while (text.charCodeAt(at) <= 0x20) at++
  return at
}
