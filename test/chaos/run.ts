// `npm run chaos -- [--minutes M] [--seed N] [--only scenario,…] [--report FILE]`: breaks the built service in every way
// that we know of, and accounts for every job. Exits with 1 when a promise was broken.
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { document, evidenceOf, tableOf } from './report.ts'
import { type Outcome, runScenario } from './scenario.ts'
import { scenarios } from './scenarios.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    only: { type: 'string' },
    report: { type: 'string' },
  },
})
const minutes = Number(values.minutes)
const wanted = values.only?.split(',')
const strange = wanted?.filter((name) => !scenarios.some((scenario) => scenario.name === name)) ?? []
if (strange.length > 0 || !(minutes > 0)) {
  console.error(`usage: npm run chaos -- [--minutes M] [--seed N] [--only scenario,…] [--report FILE]`)
  console.error(`scenarios: ${scenarios.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}
process.setMaxListeners(100) // each process of the service ends with us

const chosen = scenarios.filter(({ name }) => wanted?.includes(name) ?? true)
const shares = chosen.reduce((sum, { shares = 1 }) => sum + shares, 0)
const outcomes: Outcome[] = []
const impossible = new Map<string, string>()
const startMs = performance.now()
const time = () => `${((performance.now() - startMs) / 1000).toFixed(1).padStart(6)} s`
console.log(`seed ${values.seed}, ${minutes} minutes of faults in ${chosen.length} scenarios`)

for (const scenario of chosen) {
  const durationMs = (minutes * 60_000 * (scenario.shares ?? 1)) / shares
  const say = (text: string) => console.log(`${time()}  ${scenario.name}: ${text}`)
  say(`${Math.round(durationMs / 1000)} s`)
  try {
    const outcome = await runScenario(scenario, { seed: values.seed, durationMs, say })
    outcomes.push(outcome)
    for (const line of evidenceOf(outcome)) say(line)
  } catch (error) {
    impossible.set(scenario.name, (error as Error).message)
    say(`could not be run: ${(error as Error).stack}`)
  }
}

console.log(`\n${tableOf(outcomes)}`)
const command = `npm run chaos -- --minutes ${minutes} --seed ${values.seed}${values.only ? ` --only ${values.only}` : ''}`
if (values.report) await writeFile(values.report, document({ command, outcomes, impossible }))
const broken = outcomes.flatMap(({ account }) => account.broken).length
console.log(broken > 0 ? `\n${broken} promises were broken; the evidence is above.` : '\nAll promises were kept.')
console.log(`Again: ${command}`)
process.exit(broken > 0 || impossible.size > 0 ? 1 : 0)
