import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { hasSucceeded, type Job, type PostDownloadBody } from '#client'
import { printable } from '../printable.ts'
import { CommandError, type Context, command, integer, UsageError } from './command.ts'
import { type Entry, entriesOf } from './entries.ts'
import { progress } from './progress.ts'
import { bytesText, countText, durationText } from './table.ts'
import { watch } from './watch.ts'

const DEFAULT_LIMIT = 4

export const enqueue = command({
  help: `Usage: downloader enqueue [FILE|-] [options]

Enqueues what is in FILE, or comes on standard input: a URL on each line, or a job as JSON, as POST /download takes it.
What a line does not say is filled in. Empty lines, and those that begin with #, are skipped.

  --aggr ID        the aggregation (the host of each URL)
  --limit N        most downloads of it at once (${DEFAULT_LIMIT})
  --callback URL   whom to call back (nobody: look at the jobs)
  --wait           waits until all are over, and says how it went
  --json           a JSON object for each line: {"line","url","id"}, or "error"; with --wait also "success", "state"
  --api URL        where the API is

Exits with 0 when all were accepted and, with --wait, all succeeded; with 1 otherwise.
`,
  options: {
    aggr: { type: 'string' },
    limit: { type: 'string' },
    callback: { type: 'string' },
    wait: { type: 'boolean' },
  },
  async run(flags, args, context) {
    if (args.length > 1) throw new UsageError(`${args[1]} is one argument too many`)
    const limit = integer('--limit', flags.limit) ?? DEFAULT_LIMIT
    const input = await inputOf(args[0], context)
    const entries = entriesOf(input, { aggrId: flags.aggr, limit, callback: flags.callback })
    return flags.wait ? enqueueAndWait(entries, context) : enqueueOnly(entries, context)
  },
})

async function inputOf(file: string | undefined, { input }: Context) {
  if (file === undefined && input.isTTY) throw new UsageError('FILE is missing; - is standard input')
  if (file === undefined || file === '-') return input
  const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(`${file}: cannot be read: ${error.code}`)
  })
  return createReadStream(file, { fd: handle })
}

async function enqueueOnly(entries: AsyncIterable<Entry>, context: Context): Promise<boolean> {
  const { json, print, note } = context
  let accepted = 0
  let refused = 0
  for await (const outcome of enqueued(entries, context)) {
    if ('id' in outcome) accepted++
    else refused++
    if (json) print(JSON.stringify(outcome))
    else if ('id' in outcome) print(outcome.id)
    else note(complaint(outcome))
  }
  if (!json) note(`${countText(accepted, 'job')} enqueued${refused > 0 ? `, ${refused} refused` : ''}`)
  return refused === 0
}

async function enqueueAndWait(entries: AsyncIterable<Entry>, context: Context): Promise<boolean> {
  const { client, json, print, note, signal, terminal } = context
  const begunMs = performance.now()
  const bar = progress(terminal)
  const accepted = new Map<string, Outcome>()
  const codes = new Map<string, number>()
  let total = 0
  let over = 0
  let failed = 0
  let bytes = 0
  const fail = (outcome: Outcome, code: string) => {
    failed++
    codes.set(code, (codes.get(code) ?? 0) + 1)
    bar.clear()
    if (!json) note(complaint(outcome))
  }
  const watching = watch(client, signal, (id, job) => {
    over++
    const outcome = { ...accepted.get(id), ...endOf(job) } as Outcome & { success: boolean; code: string; size: number }
    accepted.delete(id)
    bytes += outcome.size
    if (json) print(JSON.stringify(outcome))
    if (!outcome.success) fail(outcome, outcome.code)
    bar.draw(over, total, failed)
  })
  try {
    for await (const outcome of enqueued(entries, context)) {
      total++
      if ('id' in outcome) {
        accepted.set(outcome.id, outcome)
        watching.add(outcome.id)
      } else {
        over++
        if (json) print(JSON.stringify(outcome))
        fail(outcome, 'refused')
      }
      bar.draw(over, total, failed)
    }
    await watching.finish()
  } finally {
    bar.clear()
    await watching.close()
    if (signal.aborted && !json) note(`${countText(accepted.size, 'job')} not over yet: they go on with nobody waiting`)
  }
  const why = [...codes].sort((a, b) => b[1] - a[1]).map(([code, count]) => `${code} ${count}`)
  const failures = failed > 0 ? `, ${failed} failed (${why.join(', ')})` : ''
  const took = durationText(performance.now() - begunMs)
  if (!json) note(`${countText(total, 'job')}: ${total - failed} succeeded${failures}; ${bytesText(bytes)} in ${took}`)
  return failed === 0
}

type Outcome = { line: number; url: string } & ({ id: string } | { error: string })

/** What became of each line: an id, or an error. */
async function* enqueued(entries: AsyncIterable<Entry>, { client, signal }: Context): AsyncGenerator<Outcome> {
  const sent = new Map<number, Entry>()
  const wrong: Outcome[] = []
  async function* jobs(): AsyncGenerator<PostDownloadBody> {
    let index = 0
    for await (const entry of entries) {
      const { line, url, job } = entry
      if (typeof job === 'string') {
        wrong.push({ line, url, error: job })
      } else {
        sent.set(index++, entry)
        yield job
      }
    }
  }
  for await (const result of client.batch(jobs(), { signal })) {
    const { line, url } = sent.get(result.index) ?? { line: 0, url: '' }
    sent.delete(result.index)
    yield* wrong.splice(0)
    yield { line, url, ...('id' in result ? { id: result.id } : { error: result.problem.detail }) }
  }
  yield* wrong
}

function endOf(job: Job | undefined) {
  if (!job)
    return { success: false, state: 'unknown', code: 'unknown', error: 'the job is not known any more', size: 0 }
  const { state, result, callback, file } = job
  const success = hasSucceeded(job)
  const error = success ? '' : result?.error || callback?.error || `the job is ${state}`
  const code = success ? '' : result?.error_code || state
  return { success, state, code, error, size: result?.size ?? 0, sha256: result?.sha256 ?? '', file: file?.path ?? '' }
}

const complaint = (outcome: Outcome) =>
  printable(`line ${outcome.line}: ${outcome.url} ${'error' in outcome ? outcome.error : ''}`)
