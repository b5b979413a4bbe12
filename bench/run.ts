// `npm run bench -- SCENARIO…`: runs scenarios, and prints what they measured beside what was to be reached.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import type { Context } from './load.ts'
import { type Machine, print, type Results, writeReport } from './report.ts'
import { type Selected, scenarios, select } from './scenarios.ts'
import type { Round } from './targets.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    json: { type: 'string', default: path.join(import.meta.dirname, 'results.json') },
    report: { type: 'boolean', default: false },
    scale: { type: 'string', default: '1' },
    profile: { type: 'string' },
  },
})

const USAGE = `npm run bench -- all | SCENARIO | SCENARIO/PART …

  --runs N        rounds, each of which runs every part once (5)
  --json FILE     where all figures go (bench/results.json)
  --report        writes the tables into bench/README.md, too
  --scale X       a short run with so much of the jobs and bytes, to try things: nothing is judged
  --profile DIR   with throughput: leaves there a CPU profile of each role, for bench/profile.ts, and Redis's commandstats

${Object.entries(scenarios)
  .map(([name, { about, parts }]) => `${name.padEnd(14)}${about}\n${''.padEnd(14)}  ${Object.keys(parts).join(', ')}`)
  .join('\n')}
`

function machine(): Machine {
  const version = (file: string) => JSON.parse(readFileSync(path.join(import.meta.dirname, '..', file), 'utf8')).version
  return {
    date: new Date().toISOString().slice(0, 10),
    cpu: os.cpus()[0]?.model ?? '',
    cores: os.cpus().length,
    memory_gib: Math.round(os.totalmem() / 2 ** 30),
    node: process.version,
    redis: /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? '',
    bullmq: version('node_modules/bullmq/package.json'),
    load_average_before: os.loadavg()[0]?.toFixed(2) ?? '',
  }
}

/** Interleaved: a slow minute of the machine falls on all that is compared. */
async function rounds({ name, scenario, parts }: Selected, count: number, context: Context): Promise<Round[]> {
  const all: Round[] = []
  for (let n = 1; n <= count; n++) {
    const round: Round = {}
    for (const part of parts) {
      const run = scenario.parts[part]
      if (!run || (n > 1 && scenario.once?.includes(part))) continue
      round[part] = await run(context)
      console.log(`${name}/${part}, ${n} of ${count}: ${JSON.stringify(round[part])}`)
    }
    all.push(round)
  }
  return all
}

async function main(): Promise<void> {
  if (positionals.length === 0) return void process.stdout.write(USAGE)
  const selected = select(positionals)
  const context = { scale: Number(values.scale), profileDir: values.profile && path.resolve(values.profile) }
  const count = Number(values.runs)
  if (!(context.scale > 0 && context.scale <= 1)) throw new Error('--scale is above 0 and at most 1')
  if (!(Number.isInteger(count) && count > 0)) throw new Error('--runs is a number')
  const whole = context.scale === 1
  if (values.report && !whole) throw new Error('--report is for whole runs')

  const on = machine()
  console.table(on)
  const results: Results = {}
  for (const one of selected) {
    const measured = await rounds(one, count, context)
    results[one.name] = measured
    print(one.name, measured, whole)
    // after each scenario: hours may have gone into it
    writeFileSync(values.json, `${JSON.stringify({ machine: on, scale: context.scale, results }, null, 2)}\n`)
  }
  if (values.report) writeReport(path.join(import.meta.dirname, 'README.md'), on, results)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1)) // takes all with it
try {
  await main()
  process.exit()
} catch (error) {
  console.error(error instanceof Error ? error.stack : error)
  process.exit(1)
}
