import { readFileSync, writeFileSync } from 'node:fs'
import { median } from './statistics.ts'
import { judge, type Round, type Verdict } from './targets.ts'

/** The rounds of each scenario. */
export type Results = Record<string, Round[]>
export type Machine = Record<string, string | number>
type Row = Record<string, string>

/** A row for each figure, a column for each part: the median, and from where to where it went. */
export function tableOf(rounds: Round[]): Record<string, Row> {
  const table: Record<string, Row> = {}
  const parts = new Set(rounds.flatMap((round) => Object.keys(round)))
  for (const part of parts) {
    const figures = new Set(rounds.flatMap((round) => Object.keys(round[part] ?? {})))
    for (const figure of figures) {
      const values = rounds.flatMap((round) => round[part]?.[figure] ?? [])
      const [least, most] = [Math.min(...values), Math.max(...values)]
      const range = least === most ? '' : ` (${least}–${most})`
      table[figure] = { ...table[figure], [part]: `${median(values)}${range}` }
    }
  }
  return table
}

export function print(name: string, rounds: Round[], judged: boolean): void {
  console.log(`\n${name}: median of ${rounds.length} (least–most)`)
  console.table(tableOf(rounds))
  if (judged) console.table(Object.fromEntries(judge(name, rounds).map(({ target, ...rest }) => [target, rest])))
}

const BEGIN = '<!-- measured: written by `npm run bench -- all --report` -->'
const END = '<!-- /measured -->'

/**
 * Puts what was measured into a page, between its two marks.
 *
 * @throws when the page does not have them
 */
export function writeReport(page: string, machine: Machine, results: Results): void {
  const text = readFileSync(page, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${page} has no ${BEGIN} … ${END}`)
  const measured = [
    Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
    ...Object.entries(results).map(([name, rounds]) => sectionOf(name, rounds)),
  ]
  writeFileSync(page, `${text.slice(0, begin) + BEGIN}\n\n${measured.join('\n\n')}\n\n${text.slice(end)}`)
}

function sectionOf(name: string, rounds: Round[]): string {
  const table = tableOf(rounds)
  const parts = [...new Set(Object.values(table).flatMap((row) => Object.keys(row)))]
  const rows = Object.entries(table).map(([figure, row]) => [figure, ...parts.map((part) => row[part] ?? '')])
  const verdicts = judge(name, rounds).map(({ target, wanted, measured, reached }: Verdict) => {
    return [target, wanted, String(measured), reached === 'yes' ? 'yes' : '**no**']
  })
  return [
    `### ${name}`,
    `Median of ${rounds.length} (least–most).`,
    markdown(['', ...parts], rows),
    markdown(['target', 'wanted', 'measured', 'reached'], verdicts),
  ].join('\n\n')
}

function markdown(heads: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n')
}
