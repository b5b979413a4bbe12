import type { Config } from '../config/schema.ts'
import { JobError } from '../jobs/errors.ts'
import { newLog } from '../log.ts'
import { printable } from '../printable.ts'
import { RedisUnavailable } from '../queue/redis.ts'
import type { Storage, StoredFile } from '../storage/storage.ts'
import { storageFor } from '../storage/storage-for.ts'
import { Doubt, type StrayCount, strayFiles } from '../stray-files.ts'
import { CommandError, type Context, command, noneOf, UsageError } from './command.ts'
import { instant } from './retry.ts'
import { bytesText, countText } from './table.ts'

/** More files without a job than one in so many: then rather Redis lacks jobs than the storage has files too many. */
const ONE_IN = 10

export const files = command({
  help: `Usage: downloader files [--older-than SPAN] [--delete [--force]] [--json] [-c FILE]

Names the files that belong to no job, of the storage and the Redis in the configuration of this machine. Only those are
looked at that are named as this service names files, and nothing that is still being stored.

  --older-than SPAN  only files that were written before: 30m, 12h, 7d ago, or RFC 3339 (1h)
  --delete           deletes them. Looks through all files first, and refuses when Redis knows of no job at all, or when
                     more than one in ${ONE_IN} files has none: so it is when Redis was emptied, restored, or is another one
  --force            deletes them all the same

Exits with 1 when there are files without a job, and they were not deleted.
`,
  options: { 'older-than': { type: 'string' }, delete: { type: 'boolean' }, force: { type: 'boolean' } },
  async run({ delete: remove, force, ...flags }, args, context) {
    noneOf(args)
    if (force && !remove) throw new UsageError('--force is for --delete')
    const age = flags['older-than'] ?? '1h'
    const beforeMs = Date.parse(instant(age) ?? '')
    if (Number.isNaN(beforeMs)) throw new UsageError(`--older-than: ${age} is no span such as 12h, and no time`)

    const { config } = context.config()
    const storage = storageFor(fileStorageOf(config))
    const strays = strayFiles(config.redis, storage, newLog('files', process.env.LOG_LEVEL || 'warn'))
    const { signal, note } = context
    const print = printing(context)
    try {
      if ((await strays.accepted()) === 0 && !force) {
        throw new CommandError('Redis knows of no job at all: is it the right one, and did it not lose its data?')
      }
      if (!remove) {
        const count = await strays.find(beforeMs, print, signal)
        note(summary(count, 'without a job', age))
        return count.strays === 0
      }
      const expected = await strays.find(beforeMs, () => {}, signal)
      if (expected.strays * ONE_IN > expected.examined && !force) throw new CommandError(refusal(expected))
      const deleted = await strays.find(beforeMs, (found) => removeAll(found, storage, print, signal), signal)
      note(summary(deleted, 'without a job deleted', age))
      return true
    } catch (error) {
      const said = error instanceof Doubt || error instanceof JobError || error instanceof RedisUnavailable
      throw said ? new CommandError(error.message) : error
    } finally {
      strays.close()
      await storage.close()
    }
  },
})

/** Where the processors of this configuration keep files, or those of `start` without one. */
function fileStorageOf({ processor: { filestorage, storage_dir } }: Config) {
  return filestorage ?? ({ type: 'filesystem', rootdir: storage_dir ?? 'data/files' } as const)
}

function printing({ json, print }: Context) {
  return (found: StoredFile[]) => {
    for (const { path, size, modifiedMs } of found) {
      const modified_at = new Date(modifiedMs).toISOString()
      if (json) print(JSON.stringify({ path, size, modified_at }))
      else print(`${modified_at}  ${bytesText(size).padStart(9)}  ${printable(path)}`)
    }
  }
}

async function removeAll(
  found: StoredFile[],
  storage: Pick<Storage, 'delete'>,
  print: (found: StoredFile[]) => void,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(found.map(({ path }) => storage.delete(path, signal)))
  print(found)
}

const summary = ({ examined, strays, bytes }: StrayCount, what: string, age: string) =>
  `${countText(strays, 'file')} ${what} (${bytesText(bytes)}), of ${examined} older than ${age}`

const refusal = ({ examined, strays }: StrayCount) =>
  `${strays} of ${examined} files have no job: that is more than one in ${ONE_IN}, and looks like a Redis that was emptied, \
restored, or belongs to another deployment. Nothing was deleted; --force does, if you know better`
