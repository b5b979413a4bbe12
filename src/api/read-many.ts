import { Problem } from './problems.ts'
import { parseJson } from './read-json.ts'

/** One of many values that came in one body. */
export interface Entry {
  /** @throws {Problem} 400 when it is not JSON */
  read(): unknown
  /** Characters of its JSON, or of all that came with it. */
  size: number
}

/**
 * The values of a body that is a JSON array, or JSON values on lines of their own (NDJSON), of which empty ones do not
 * count. Lines are parsed when they are asked for.
 *
 * @throws {Problem} 400 when it is neither, 413 when there are more than `most`
 */
export function entriesOf(text: string, most: number): Entry[] {
  const entries = text.trimStart().startsWith('[') ? ofArray(text) : ofLines(text)
  if (entries.length === 0) throw new Problem(400, 'the body is empty: a JSON array or JSON lines are expected')
  if (entries.length > most) throw new Problem(413, `the body has more than ${most} jobs`)
  return entries
}

function ofArray(text: string): Entry[] {
  const values = parseJson(text)
  if (!Array.isArray(values))
    throw new Problem(400, 'the body must be a JSON array, or JSON objects on lines of their own')
  return values.map((value: unknown) => ({ read: () => value, size: sizeOf(value) ?? text.length }))
}

/** undefined for a value that is nested too deeply to be written again: reading one needs no stack, writing one does. */
function sizeOf(value: unknown): number | undefined {
  try {
    return JSON.stringify(value).length
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function ofLines(text: string): Entry[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '')
  return lines.map((line) => ({ read: () => parseJson(line, 'the line'), size: line.length }))
}
