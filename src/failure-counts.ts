import { STATUS_CODES } from 'node:http'
import type { ErrorCode } from './jobs/errors.ts'
import type { Stats } from './queue/instances.ts'

const prefix = 'failures.'

/** The code by which a failure is counted: origins choose their statuses, so those that nobody knows are one. */
export function countedCode(code: string): string {
  const [family, status = ''] = code.split('.')
  return family === 'http' && STATUS_CODES[status] === undefined ? 'http.other' : code
}

/** Attempts that failed, by code: `failures.tls.expired`. */
export function failureCounts() {
  const counts: Stats = {}
  return {
    counts: counts as Readonly<Stats>,
    add(code: ErrorCode): void {
      const name = prefix + countedCode(code)
      counts[name] = (counts[name] ?? 0) + 1
    },
  }
}

/** The codes among what a process has counted. */
export function failuresIn(stats: Stats): [code: string, count: number][] {
  return Object.entries(stats)
    .filter(([name]) => name.startsWith(prefix))
    .map(([name, count]) => [name.slice(prefix.length), count])
}
