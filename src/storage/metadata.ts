/** What S3 takes as user metadata of one object, names and values together, in bytes. */
const MAX_BYTES = 2048
const PREFIX = 'x-amz-meta-'.length
/** In valid JSON. Numbers are read as strings: an id of 19 digits would lose its last ones as a number. */
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g

/**
 * The fields of a job's `extra` as an object's user metadata: those that are strings or numbers. `extra` that is no JSON
 * object becomes the one field `extra`. Names are lower-cased and lose what a header name cannot hold; a value that is
 * not plain ASCII is encoded as S3 itself shows such values (RFC 2047). Fields that do not fit into S3's 2 KiB are left out.
 */
export function metadataFromExtra(extra: string): Record<string, string> {
  const metadata = new Map<string, string>()
  let left = MAX_BYTES
  for (const [field, value] of fieldsOf(extra)) {
    const name = field.toLowerCase().replace(/[^a-z0-9._-]+/g, '-')
    const text = headerValue(value)
    const bytes = PREFIX + name.length + text.length
    if (name === '' || metadata.has(name) || bytes > left) continue
    metadata.set(name, text)
    left -= bytes
  }
  return Object.fromEntries(metadata)
}

function fieldsOf(extra: string): [string, string][] {
  if (extra === '') return []
  let parsed: unknown
  try {
    JSON.parse(extra)
    parsed = JSON.parse(extra.replace(STRING_OR_NUMBER, (found) => (found.startsWith('"') ? found : `"${found}"`)))
  } catch {}
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return [['extra', extra]]
  return Object.entries(parsed).filter(([, value]) => typeof value === 'string')
}

function headerValue(text: string): string {
  if (/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(text) || text === '') return text
  return `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`
}
