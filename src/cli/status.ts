import type { Stats } from '#client'
import { aggregationTable } from './aggregations.ts'
import { command, noneOf, UsageError } from './command.ts'
import { table } from './table.ts'

export const status = command({
  help: `Usage: downloader status [--json | --graphite PREFIX] [--api URL]

Shows how much is where, who works, and the aggregations with most to do. Exits with 1 when no processor or no notifier
is alive, or a job is unaccounted for.

  --json              all of it as one JSON object
  --graphite PREFIX   all numbers in Graphite's plain text protocol: name, value, time
`,
  options: { graphite: { type: 'string' } },
  async run({ graphite }, args, { client, json, print, note, signal }) {
    noneOf(args)
    if (graphite !== undefined && !/^[\w.-]+$/.test(graphite)) {
      throw new UsageError('--graphite: the prefix must be letters, digits, dots, _ and -')
    }
    const query = { sort: 'pending', count: 10 } as const
    const [processor, notifier, metrics, busiest] = await Promise.all([
      client.stats('processor', { signal }),
      client.stats('notifier', { signal }),
      client.metrics({ signal }),
      client.aggregations(query, { signal }),
    ])
    const numbers = numbersOf(metrics)
    const healthy = processor !== undefined && notifier !== undefined && numbers.unaccounted === 0
    if (graphite !== undefined) {
      for (const line of graphiteLines(graphite, { processor, notifier, jobs: numbers })) print(line)
    } else if (json) {
      const aggregations = busiest.aggregations
      print(
        JSON.stringify({ healthy, processor: processor ?? null, notifier: notifier ?? null, ...numbers, aggregations }),
      )
    } else {
      const rows = Object.entries(numbers.rooms).map(([room, { pending, claimed }]) => [room, pending, claimed])
      print(rows.length > 0 ? table(['room', 'waiting', 'running'], rows) : 'nothing waits, nothing runs')
      const resting = Object.entries(numbers.rest).map(([reason, count]) => `${reason} ${count}`)
      print(`\nat rest: ${resting.join(', ')}\naccepted ever: ${numbers.accepted}, over: ${numbers.gone}`)
      print(`processors: ${processor?.alive ?? 'none'}, notifiers: ${notifier?.alive ?? 'none'}`)
      if (busiest.total > 0) print(`\n${aggregationTable(busiest.aggregations)}`)
      if (busiest.total > busiest.aggregations.length) print(`... of ${busiest.total}: downloader aggregations`)
      if (processor === undefined) note('no processor is alive: nothing is downloaded')
      if (notifier === undefined) note('no notifier is alive: nobody is called back')
      if (numbers.unaccounted !== 0) note(`${numbers.unaccounted} jobs are in no place: see downloader check`)
    }
    return healthy
  },
})

type Numbers = {
  accepted: number
  gone: number
  unaccounted: number
  rooms: Record<string, { pending: number; claimed: number }>
  rest: Record<string, number>
}

/** What `/metrics` says of the jobs. */
function numbersOf(metrics: string): Numbers {
  const numbers: Numbers = { accepted: 0, gone: 0, unaccounted: 0, rooms: {}, rest: {} }
  for (const line of metrics.split('\n')) {
    const [, name, labels = '', value] = /^downloader_(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    const label = (key: string) => new RegExp(`${key}="([^"]*)"`).exec(labels)?.[1] ?? ''
    if (name === 'jobs_accepted_total') numbers.accepted = Number(value)
    if (name === 'jobs_gone_total') numbers.gone = Number(value)
    if (name === 'jobs_unaccounted') numbers.unaccounted = Number(value)
    if (name === 'jobs_at_rest') numbers.rest[label('reason')] = Number(value)
    if (name === 'jobs') {
      const room = label('room')
      const known = numbers.rooms[room] ?? { pending: 0, claimed: 0 }
      numbers.rooms[room] = { ...known, [label('state')]: Number(value) }
    }
  }
  return numbers
}

type Tree = { [name: string]: number | Tree | Stats | undefined }

function graphiteLines(prefix: string, tree: Tree, nowS = Math.floor(Date.now() / 1000)): string[] {
  return Object.entries(tree).flatMap(([name, value]) => {
    if (value === undefined) return []
    const path = `${prefix}.${name.replace(/[^\w-]+/g, '_')}`
    return typeof value === 'number' ? [`${path} ${value} ${nowS}`] : graphiteLines(path, value as Tree, nowS)
  })
}
