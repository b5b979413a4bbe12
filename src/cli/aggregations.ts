import type { Aggregation } from '#client'
import { type Context, command, integer, oneOf, UsageError } from './command.ts'
import { durationText, table } from './table.ts'

const HEADS = ['aggregation', 'limit', 'rate', 'running', 'pending', 'oldest waits', 'failed', 'not called back', '']

export const aggregations = command({
  help: `Usage: downloader aggregations [SEARCH] [--sort aggr_id|pending|running|waiting|failed] [--count N] [--json] [--api URL]

Lists the aggregations whose name has SEARCH in it: those that have jobs, and those of which an operator set something.

  --sort NAME   pending unless given
  --count N     how many (20)
`,
  options: { sort: { type: 'string' }, count: { type: 'string' } },
  async run({ sort = 'pending', count }, args, { client, json, print, note, signal }) {
    if (args.length > 1) throw new UsageError(`${args[1]} is one argument too many`)
    const query = { search: args[0], sort: sort as 'pending', count: integer('--count', count) ?? 20 }
    const { aggregations, total } = await client.aggregations(query, { signal })
    if (json) for (const one of aggregations) print(JSON.stringify(one))
    else {
      print(aggregationTable(aggregations))
      if (total > aggregations.length) note(`${aggregations.length} of ${total}`)
    }
    return true
  },
})

export const pause = command({
  help: `Usage: downloader pause AGGR [--json] [--api URL]

Begins no more downloads of an aggregation; what runs comes to its end. Stands until resume, also without jobs.
`,
  options: {},
  run: (_, args, context) => amend(oneOf(args, 'AGGR'), { paused: true }, context),
})

export const resume = command({
  help: `Usage: downloader resume AGGR [--json] [--api URL]

Lets an aggregation that was paused go on.
`,
  options: {},
  run: (_, args, context) => amend(oneOf(args, 'AGGR'), { paused: null }, context),
})

export const limit = command({
  help: `Usage: downloader limit AGGR [N|none] [--rate N|none] [--json] [--api URL]

Sets how many downloads of an aggregation run at once, and with --rate how many begin in a second. It wins over what
jobs bring, at once, until it is set to none.
`,
  options: { rate: { type: 'string' } },
  async run({ rate }, [aggrId, n, ...rest], context) {
    if (aggrId === undefined) throw new UsageError('AGGR is missing')
    if (rest[0] !== undefined) throw new UsageError(`${rest[0]} is one argument too many`)
    if (n === undefined && rate === undefined) throw new UsageError('N is missing: how many at once, or none')
    if (rate !== undefined && rate !== 'none' && !(Number(rate) > 0))
      throw new UsageError(`--rate: ${rate} is no number`)
    const limit = n === 'none' ? null : integer('N', n)
    return amend(
      aggrId,
      {
        ...(limit !== undefined && { limit }),
        ...(rate !== undefined && { rate: rate === 'none' ? null : Number(rate) }),
      },
      context,
    )
  },
})

async function amend(aggrId: string, change: Parameters<Context['client']['amend']>[1], context: Context) {
  const { client, json, print, signal } = context
  const aggregation = await client.amend(aggrId, change, { signal })
  if (json) print(JSON.stringify(aggregation))
  else if (aggregation) print(aggregationTable([aggregation]))
  else print('nothing is set of it, and it has no jobs')
  return true
}

export function aggregationTable(aggregations: Aggregation[]): string {
  const rows = aggregations.map((one) => [
    one.aggr_id,
    one.limit,
    one.rate,
    one.running,
    one.pending,
    one.waiting_since && durationText(Math.max(0, Date.now() - Date.parse(one.waiting_since))),
    one.failed,
    one.callback_failed,
    one.paused ? 'paused' : one.held_until ? `held until ${one.held_until}` : '',
  ])
  return table(HEADS, rows)
}
