import { type What, whats } from './translation.ts'

/** What an import did, counted. */
export interface Tally {
  moved(what: What, jobs: number): void
  /** Jobs that an earlier import had moved, and could not remove any more. */
  known(jobs: number): void
  refused(): void
  readonly refusals: number
  readonly total: number
  lines(dryRun: boolean): string[]
}

export function tallying(): Tally {
  const moved = new Map<What, number>()
  let known = 0
  let refusals = 0
  return {
    moved: (what, jobs) => void moved.set(what, (moved.get(what) ?? 0) + jobs),
    known(jobs) {
      known += jobs
    },
    refused() {
      refusals++
    },
    get refusals() {
      return refusals
    },
    get total() {
      return [...moved.values()].reduce((sum, jobs) => sum + jobs, 0)
    },
    lines(dryRun) {
      const rows: [string, number][] = whats.map((what) => [what, moved.get(what) ?? 0])
      if (known > 0) rows.push(['moved before', known])
      rows.push(['refused, left where they are', refusals])
      const heading = dryRun ? 'would be moved' : 'moved'
      const width = Math.max(...rows.map(([name]) => name.length))
      const digits = Math.max(heading.length, ...rows.map(([, count]) => String(count).length))
      return [['', heading] as const, ...rows].map(
        ([name, count]) => `${name.padEnd(width)}  ${String(count).padStart(digits)}`,
      )
    },
  }
}
