import { ApiProblem } from '#client'
import { printable } from '../printable.ts'
import { CommandError, command, UsageError } from './command.ts'
import { countText } from './table.ts'

export const retry = command({
  help: `Usage: downloader retry ID...
       downloader retry --failed [--receiver URL] [--aggr ID] [--code CODE] [--since TIME] [--until TIME] [--rate N]
       downloader retry --downloads [--aggr ID] [--code CODE] [--since TIME] [--until TIME] [--rate N]

Queues failed callbacks again: those of the jobs that are named, or with --failed all that have something in common.
--downloads: downloads that failed and of which nobody was told, anew.

  --receiver URL   as the list of jobs names it: scheme://host:port, a topic, or host/path of a queue
  --since, --until RFC 3339, such as 2030-01-31T12:00:00Z, or a span such as 30m, 12h, 7d ago
  --rate N         how many start in a second (50)
  --json, --api URL
`,
  options: {
    failed: { type: 'boolean' },
    downloads: { type: 'boolean' },
    receiver: { type: 'string' },
    aggr: { type: 'string' },
    code: { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
    rate: { type: 'string' },
  },
  async run(flags, ids, { client, json, print, note, signal }) {
    const byFilter = flags.failed || flags.downloads
    const { failed: _, downloads, aggr, since, until, rate, code, receiver } = flags
    const filters = [receiver, aggr, code, since, until, rate].some((value) => value !== undefined)
    if (ids.length > 0 && (byFilter || filters)) throw new UsageError('either ids or a filter, not both')
    if (ids.length === 0 && !byFilter) throw new UsageError('ID is missing, or --failed for all')
    if (ids.length > 0) {
      let allWell = true
      for (const id of ids) {
        try {
          const answer = await client.retry(id, { signal })
          print(json ? JSON.stringify(answer) : `${answer.id} is queued again`)
        } catch (error) {
          if (!(error instanceof ApiProblem) || ![404, 409].includes(error.status)) throw error
          allWell = false
          if (json) print(JSON.stringify({ id, error: error.message }))
          else note(printable(error.message))
        }
      }
      return allWell
    }
    const filter = {
      state: downloads ? 'failed' : 'callback_failed',
      aggr_id: aggr,
      code,
      receiver,
      since: instant(since),
      until: instant(until) ?? new Date().toISOString(), // what fails again meanwhile is not taken again
      rate: rate === undefined ? undefined : Number(rate),
    } as const
    let retried = 0
    for (let round = 0; ; round++) {
      const answer = await client.retryMany(filter, { signal })
      retried += answer.retried
      if (answer.more && round < MAX_ROUNDS) continue
      if (json) print(JSON.stringify({ retried, last_starts_at: answer.last_starts_at }))
      else {
        const last = answer.last_starts_at ? `; the last starts at ${answer.last_starts_at}` : ''
        print(`${countText(retried, downloads ? 'download' : 'callback')} queued again${last}`)
      }
      if (answer.more) throw new CommandError(`there are more after ${retried}: repeat it`)
      return true
    }
  },
})

/** A thousand jobs each. */
const MAX_ROUNDS = 10_000
const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A time as the API takes it; a span is that long ago. */
export function instant(text: string | undefined): string | undefined {
  const [, count, unit] = /^(\d{1,6})([smhd])$/.exec(text ?? '') ?? []
  if (unit === undefined) return text
  return new Date(Date.now() - Number(count) * UNITS[unit as keyof typeof UNITS]).toISOString()
}
