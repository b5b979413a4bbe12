import type { GetJobsQuery } from '#client'
import { printable } from '../printable.ts'
import { command, integer, noneOf, oneOf } from './command.ts'
import { instant } from './retry.ts'
import { bytesText, table } from './table.ts'

const HEADS = ['id', 'state', 'at', 'attempts', 'code', 'aggregation', 'url']
const PAGE = 1000

export const jobs = command({
  help: `Usage: downloader jobs [--state STATE] [options]

Lists the jobs of one state: pending, running (unless given), callback_pending, callback_running, callback_failed, done,
failed, cancelled. What is pending comes in the order of the queue, what rests newest first.

  --aggr ID        of this aggregation
  --receiver URL   for callback_...: scheme://host:port, a topic, or host/path of a queue
  --code CODE      for failed and callback_failed: an error code
  --since, --until for jobs at rest: RFC 3339, or a span such as 30m, 12h, 7d ago
  --count N        how many (20)
  --json           a JSON object on each line
  --api URL        where the API is
`,
  options: {
    state: { type: 'string' },
    aggr: { type: 'string' },
    receiver: { type: 'string' },
    code: { type: 'string' },
    since: { type: 'string' },
    until: { type: 'string' },
    count: { type: 'string' },
  },
  async run({ state = 'running', aggr, receiver, code, since, until, count }, args, { client, json, print, signal }) {
    noneOf(args)
    const most = integer('--count', count) ?? 20
    const query = {
      state: state as GetJobsQuery['state'],
      aggr_id: aggr,
      receiver,
      code,
      since: instant(since),
      until: instant(until),
      count: Math.min(most, PAGE),
    }
    const rows: (string | number)[][] = []
    let printed = 0
    for await (const job of client.list(query, { signal })) {
      if (json) print(JSON.stringify(job))
      else rows.push([job.id, job.state, job.at, job.attempts, job.code || '-', job.aggr_id || '-', job.url])
      if (++printed === most) break
    }
    if (!json) print(rows.length > 0 ? table(HEADS, rows) : `no job is ${printable(state)}`)
    return true
  },
})

export const job = command({
  help: `Usage: downloader job ID [--json] [--api URL]

Shows one job: how far it is, which attempts failed, where its file is.
`,
  options: {},
  async run(_, args, { client, json, print, signal }) {
    const found = await client.get(oneOf(args, 'ID'), { signal })
    if (json) {
      print(JSON.stringify(found))
      return true
    }
    const { result, file, callback } = found
    const lines: [string, string | number | null | undefined][] = [
      ['id', found.id],
      ['state', found.state],
      ['aggregation', found.aggr_id],
      ['url', found.url],
      ['created', found.created_at],
      [['delivered', 'expired'].includes(found.state) ? 'file until' : 'starts', found.starts_at],
      ['rests since', found.resting_since],
      ['received', found.received_bytes === null ? undefined : bytesText(found.received_bytes)],
      ['attempts', found.attempts],
      ['stalls', found.stalls || undefined],
      ...found.failures.map((failure): [string, string] => [
        'failed',
        `${failure.at} ${failure.step} ${failure.code} after ${failure.duration_ms} ms`,
      ]),
      ['error', result?.error || undefined],
      ['size', result?.success ? bytesText(result.size) : undefined],
      ['type', result?.mime_type || undefined],
      ['sha256', result?.sha256 || undefined],
      ['file', file && (file.url || `${file.bucket ?? file.storage}: ${file.path}`)],
      ['callback', callback && `${callback.receiver}, ${callback.attempts} attempts ${callback.error}`],
    ]
    for (const [name, value] of lines) if (value != null) print(`${name.padEnd(12)}${printable(String(value))}`)
    return true
  },
})
