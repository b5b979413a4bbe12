// `npm run bench -- [scenario …] [--runs N] [--json FILE]`: runs scenarios, and prints their medians and what was to be reached.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { backlog } from './scenarios/backlog.ts'
import { big } from './scenarios/big.ts'
import { cap } from './scenarios/cap.ts'
import { enqueue } from './scenarios/enqueue.ts'
import { idleLatency } from './scenarios/idle-latency.ts'
import { manyGroups } from './scenarios/many-groups.ts'
import { bullmq, ceiling } from './scenarios/rivals.ts'
import { scale } from './scenarios/scale.ts'
import { oneAggregation, throughput } from './scenarios/throughput.ts'
import { median } from './statistics.ts'
import { judged, type Medians } from './targets.ts'

type Figures = Record<string, number>

const scenarios: Record<string, () => Promise<Figures>> = {
  throughput: () => throughput(),
  ceiling,
  bullmq,
  'one-aggregation': oneAggregation,
  'idle-latency': idleLatency,
  enqueue,
  cap,
  'scale-1': () => scale(1),
  'scale-2': () => scale(2),
  'scale-4': () => scale(4, 64),
  'backlog-20k': () => backlog(20_000),
  'backlog-100k': () => backlog(100_000),
  'backlog-1m': () => backlog(1_000_000),
  big,
  'many-groups': manyGroups,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '5' }, json: { type: 'string' } },
})
if (positionals.length === 0) {
  console.log(`npm run bench -- all | scenario … [--runs N] [--json FILE]\n\n${Object.keys(scenarios).join('\n')}`)
  process.exit()
}
const names = positionals.includes('all') ? Object.keys(scenarios) : positionals
const unknown = names.filter((name) => !scenarios[name])
if (unknown.length > 0) {
  console.error(`there is no scenario ${unknown.join(', ')}; there are ${Object.keys(scenarios).join(', ')}`)
  process.exit(2)
}

const machine = {
  cpu: os.cpus()[0]?.model,
  cores: os.cpus().length,
  memory_gib: Math.round(os.totalmem() / 2 ** 30),
  node: process.version,
  redis: /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1],
}
console.table(machine)

// Interleaved: each round runs every scenario once, so that a slow minute of the machine falls on all of them.
const results: Record<string, Figures[]> = {}
for (let run = 1; run <= Number(values.runs); run++) {
  for (const name of names) {
    const figures = await scenarios[name]?.()
    if (!figures) continue
    results[name] = [...(results[name] ?? []), figures]
    console.log(`${run}. ${name}: ${JSON.stringify(figures)}`)
  }
}

const medians: Medians = {}
for (const [name, runs] of Object.entries(results)) {
  const of = (figure: string) => median(runs.map((run) => run[figure] ?? Number.NaN))
  medians[name] = Object.fromEntries(Object.keys(runs[0] ?? {}).map((figure) => [figure, of(figure)]))
  console.log(`\n${name}, median of ${runs.length}`)
  console.table(medians[name])
}
console.log('\nWhat was to be reached')
console.table(judged(medians))
const file = values.json ?? path.join(import.meta.dirname, 'results.json')
writeFileSync(file, `${JSON.stringify({ machine, medians, results }, null, 2)}\n`)
process.exit()
