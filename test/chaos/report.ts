import type { Account } from './accounting.ts'
import type { Injected } from './faults/fault.ts'
import type { Outcome } from './scenario.ts'
import { AGGREGATIONS } from './settings.ts'

const COLUMNS = [
  'scenario',
  'faults',
  'accepted',
  'unknown',
  'lost',
  'twice',
  'open at once, by limit',
  'callbacks at once',
  'partial',
  'temporary',
  'recovery',
  'kept',
]

/** The table, one row a scenario, in Markdown. */
export function tableOf(outcomes: readonly Outcome[]): string {
  const rows = [COLUMNS, ...outcomes.map(rowOf)]
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  const rule = line(widths.map((width) => '-'.repeat(width)))
  const [head = [], ...body] = rows
  return [line(head), rule, ...body.map(line)].join('\n')
}

function rowOf({ scenario, injected, account }: Outcome): string[] {
  const { accepted, unknown, lost, mayBeLost, twice, inFlight, peaks, partial, temporary, recoveryMs, broken } = account
  const own = peaks.filter(({ group }) => group in AGGREGATIONS)
  const receivers = peaks.filter(({ group }) => !(group in AGGREGATIONS))
  return [
    scenario.name,
    String(injected.length),
    String(accepted),
    unknown[0] === 0 ? '0' : `${unknown[0]} (${unknown[1]} accepted)`,
    mayBeLost === 0 ? String(lost) : `${lost} of ${mayBeLost}`,
    inFlight === 0 ? String(twice) : `${twice} of ${inFlight}`,
    peaksText(own, account),
    peaksText(receivers, account),
    String(partial),
    String(temporary),
    recoveryMs === undefined ? '' : `${(recoveryMs / 1000).toFixed(1)} s`,
    broken.length === 0 ? 'yes' : `NO: ${broken.length}`,
  ]
}

/** `3/4`: three of four; `4+2/4`: two more that no lease can hold. */
const peaksText = (peaks: Account['peaks'], { held }: Account): string => {
  const text = peaks
    .map(({ highest, counted, limit }) => `${counted}${highest > limit ? `+${highest - counted}` : ''}/${limit}`)
    .join(' ')
  return peaks.some(({ highest, limit }) => highest > limit) && held > 0 ? `${text} (${held} held)` : text
}

/** What else is to be said of an outcome: broken promises, and what was logged. */
export function evidenceOf({ account, logged, injected, lagMs }: Outcome): string[] {
  const { accepted, lost, twice, broken } = account
  return [
    `${accepted} accepted, ${lost} lost, ${twice} called back twice, ${injected.length} faults (${countsOf(injected)}), the recorder lagged ${Math.round(lagMs)} ms at most`,
    `attempts that failed: ${listOf(logged.codes)}`,
    ...[...logged.errors].map(([message, count]) => `logged ${count} times: ${message}`),
    ...broken.map((text) => `BROKEN: ${text}`),
  ]
}

function countsOf(injected: readonly Injected[]): string {
  const counts = new Map<string, number>()
  for (const { fault } of injected) counts.set(fault.name, (counts.get(fault.name) ?? 0) + 1)
  return listOf(counts)
}

const listOf = (counts: Map<string, number>) => [...counts].map(([name, count]) => `${name} ${count}`).join(', ')

export function document(_: {
  command: string
  outcomes: readonly Outcome[]
  impossible: Map<string, string>
}): string {
  return ''
}
