import { ApiProblem, type Job } from '#client'
import { printable } from '../printable.ts'
import { type Context, command, integer, UsageError } from './command.ts'
import { idIn, linesOf } from './file-lines.ts'
import { countText } from './table.ts'

export const deletion = command({
  help: `Usage: downloader delete ID... | -  [--dry-run] [--parallel N] [--json] [--api URL]

Deletes jobs that are over, with their files: those that rest, and those that were delivered, before their time. What is
to be downloaded or called back, or could not be called back, is kept and named (\`cancel\` takes it back). An id may also
be the path or the URL of its file. - reads standard input, where lines of an access log will do: those count that say
"GET .../6QE/6QEywYsd0jrKAg HTTP/1.1" 200. What is gone already is fine, so that a log may be read twice.
Exits with 1 when something was kept.

  --dry-run     only says what would be deleted
  --parallel N  requests at once (8)
`,
  options: { 'dry-run': { type: 'boolean' }, parallel: { type: 'string' } },
  async run(flags, args, context) {
    if (args.length === 0) throw new UsageError('ID is missing; - is standard input')
    const parallel = integer('--parallel', flags.parallel) ?? 8
    const isDry = flags['dry-run'] === true
    const act = isDry ? looking(context) : deleting(context)
    const verb = isDry ? 'would be deleted' : 'deleted'
    const tally = { done: 0, gone: 0, kept: 0 }
    const { json, print, note } = context
    const ids = args[0] === '-' ? distinct(linesOf(context.input)) : named(args)

    async function work(): Promise<void> {
      for (let next = await ids.next(); !next.done; next = await ids.next()) {
        const id = next.value
        const end = await act(id)
        tally[end.what]++
        if (json) print(JSON.stringify({ id, ...('state' in end ? { state: end.state } : { error: end.error }) }))
        else if ('state' in end) print(`${id} ${verb}`)
        else note(printable(end.error))
      }
    }
    try {
      await Promise.all(Array.from({ length: parallel }, work))
    } finally {
      const { done, gone, kept } = tally
      note(`${countText(done, 'job')} ${verb}, ${gone} gone already, ${kept} kept`)
    }
    return tally.kept === 0
  },
})

type End = { what: 'done'; state: string } | { what: 'gone' | 'kept'; error: string }

function deleting({ client, signal }: Context) {
  return (id: string) => ended(async () => (await client.delete(id, { signal })).state)
}

const OVER: readonly Job['state'][] = ['delivered', 'done', 'failed', 'cancelled', 'expired']

function looking({ client, signal }: Context) {
  return async (id: string): Promise<End> => {
    const end = await ended(async () => (await client.get(id, { signal })).state)
    const isKept = end.what === 'done' && !OVER.some((state) => state === end.state)
    return isKept ? { what: 'kept', error: `${id} would be kept: it is ${end.state}` } : end
  }
}

async function ended(ask: () => Promise<string>): Promise<End> {
  try {
    return { what: 'done', state: await ask() }
  } catch (error) {
    if (!(error instanceof ApiProblem) || ![404, 409].includes(error.status)) throw error
    return { what: error.status === 404 ? 'gone' : 'kept', error: error.message }
  }
}

/** @throws {UsageError} */
async function* named(args: string[]): AsyncGenerator<string> {
  for (const arg of args) {
    const id = idIn(arg)
    if (id === undefined) throw new UsageError(`${arg} is neither an id nor the path of a file`)
    yield id
  }
}

/** A popular file stands in a log many times; so many ids are remembered. */
const REMEMBERED = 100_000

async function* distinct(lines: AsyncIterable<string>): AsyncGenerator<string> {
  let seen = new Set<string>()
  for await (const line of lines) {
    const id = idIn(line)
    if (id === undefined || seen.has(id)) continue
    if (seen.size === REMEMBERED) seen = new Set()
    seen.add(id)
    yield id
  }
}
