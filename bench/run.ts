// `npm run bench [-- scenario …] [--runs N]`: runs scenarios, prints a table each and writes bench/results.json.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { cap } from './scenarios/cap.ts'
import { enqueue } from './scenarios/enqueue.ts'
import { idleLatency } from './scenarios/idle-latency.ts'
import { oneAggregation, throughput } from './scenarios/throughput.ts'
import { median } from './statistics.ts'

type Figures = Record<string, number>

const scenarios: Record<string, () => Promise<Figures>> = {
  'idle-latency': idleLatency,
  throughput: () => throughput(),
  'one-aggregation': oneAggregation,
  enqueue,
  cap,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '3' } },
})
const names = positionals.length > 0 ? positionals : Object.keys(scenarios)
for (const name of names) {
  if (!scenarios[name]) {
    console.error(`there is no scenario ${name}; there are ${Object.keys(scenarios).join(', ')}`)
    process.exit(2)
  }
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
    if (figures) results[name] = [...(results[name] ?? []), figures]
  }
}
for (const [name, runs] of Object.entries(results)) {
  console.log(`\n${name}, median of ${runs.length}`)
  const figures = Object.keys(runs[0] ?? {})
  console.table(
    Object.fromEntries(figures.map((figure) => [figure, median(runs.map((run) => run[figure] ?? Number.NaN))])),
  )
}
writeFileSync(path.join(import.meta.dirname, 'results.json'), `${JSON.stringify({ machine, results }, null, 2)}\n`)
process.exit()
