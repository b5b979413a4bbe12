// `npm run chaos -- [--minutes M] [--seed N] [--only scenario,…] [--report FILE]`: see docs/fault-report.md.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { play, type Row } from './play.ts'
import { reportOf, tableOf } from './report.ts'
import { scenarios } from './scenarios.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
    report: { type: 'string' },
  },
})
const names = values.only?.split(',') ?? Object.keys(scenarios)
const unknown = names.filter((name) => !scenarios[name])
if (unknown.length > 0) {
  console.error(`there is no scenario ${unknown.join(', ')}; there are ${Object.keys(scenarios).join(', ')}`)
  process.exit(2)
}
const seed = Number(values.seed)
const seconds = (Number(values.minutes) * 60) / names.length

const rows: Row[] = []
for (const [i, name] of names.entries()) {
  const scenario = scenarios[name]
  if (!scenario) continue
  console.log(`${name}: ${scenario.name}, ${Math.round(seconds)} s`)
  const row = await play(scenario, { seconds, seed: seed + i, say: (text) => console.log(text) })
  for (const line of row.broken) console.error(`  BROKEN: ${line}`)
  rows.push(row)
}
console.log(`\n${tableOf(rows)}`)
if (values.report) writeFileSync(values.report, reportOf(rows, { minutes: Number(values.minutes), seed }))
process.exit(rows.some(({ broken }) => broken.length > 0) ? 1 : 0)
