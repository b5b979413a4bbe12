import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { idOfFile, isJobId } from '../jobs/job.ts'

/** A request in an access log: nginx, Apache and S3 write it between quotes, and the status behind it. */
const REQUEST = /"([A-Z]+) (\S+) HTTP\/[\d.]+" (\d{3})(?!\d)/

/**
 * The id of the job that a line is about: an id alone, the path or URL of a file, or a line of an access log that says that
 * a file was sent whole. Undefined for any other, also for a request that did not get all of its file.
 */
export function idIn(line: string): string | undefined {
  const text = line.trim()
  if (isJobId(text)) return text
  const [, method, target, status] = REQUEST.exec(text) ?? []
  if (target !== undefined) return method === 'GET' && status === '200' ? idOfFile(withoutQuery(target)) : undefined
  return /\s/.test(text) ? undefined : idOfFile(withoutQuery(text))
}

const withoutQuery = (target: string) => target.replace(/[?#].*$/, '')

/** Lines that are not empty. */
export async function* linesOf(input: Readable): AsyncGenerator<string> {
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() !== '') yield line
  }
}
