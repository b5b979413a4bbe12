import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { hasSucceeded, type Job } from '#client'
import { CommandError, type Context, command, integer, oneOf, UsageError } from './command.ts'
import { jobOf } from './entries.ts'
import { bytesText } from './table.ts'
import { watch } from './watch.ts'

export const get = command({
  help: `Usage: downloader get URL [-o FILE] [--aggr ID] [--limit N] [--keep] [--json] [--api URL]

Lets the service download URL, waits, and brings the file here, compared with its SHA-256. The job is deleted afterwards,
with its file.

  -o, --output FILE  where it goes (the last part of the URL); - is standard output
  --aggr ID          the aggregation (the URL's host)
  --limit N          most downloads of it at once (4)
  --keep             leaves job and file with the service

The file comes from processor.download_url or, where the deployment has none, from its folder on this machine.
`,
  options: {
    output: { type: 'string', short: 'o' },
    aggr: { type: 'string' },
    limit: { type: 'string' },
    keep: { type: 'boolean' },
  },
  async run(flags, args, context) {
    const url = oneOf(args, 'URL')
    const job = jobOf({ url }, { aggrId: flags.aggr, limit: integer('--limit', flags.limit) ?? 4 })
    if (typeof job === 'string') throw new UsageError(job)
    const output = flags.output ?? (path.basename(new URL(url).pathname) || 'index.html')
    const { client, signal, json, note, print } = context
    let over: Job | undefined
    const watching = watch(client, signal, (_, job) => {
      over = job
    })
    const { id } = await client.enqueue(job, { signal, idempotencyKey: crypto.randomUUID() })
    try {
      watching.add(id)
      await watching.finish()
    } finally {
      await watching.close()
    }
    if (!over || !hasSucceeded(over))
      throw new CommandError(`${url}: ${over?.result?.error || `the job is ${over?.state}`}`)
    await bring(over, output, context)
    if (!flags.keep) await client.cancel(id, { signal })
    const { size = 0, sha256, mime_type } = over.result ?? {}
    if (json && output !== '-') print(JSON.stringify({ id, url, file: output, size, sha256, mime_type }))
    else note(`${output}: ${bytesText(size)}, ${mime_type}`)
    return true
  },
})

/** Puts a job's file into `output`, whole or not at all. */
async function bring({ file, result }: Job, output: string, context: Context): Promise<void> {
  const source = await open(file, context)
  const hash = createHash('sha256')
  const hashed = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      done(null, chunk)
    },
  })
  const part = `${output}.${process.pid}.part`
  const target = output === '-' ? process.stdout : createWriteStream(part, { flags: 'wx' })
  try {
    await pipeline(source, hashed, target, { signal: context.signal, end: output !== '-' })
    const found = hash.digest('hex')
    if (found !== result?.sha256)
      throw new CommandError(`what came has SHA-256 ${found}, and should have ${result?.sha256}`)
    if (output !== '-') await rename(part, output)
  } catch (error) {
    if (output !== '-') await rm(part, { force: true })
    const { code, path: where } = error as NodeJS.ErrnoException
    throw code === undefined || where === undefined ? error : new CommandError(`${where}: ${code}`)
  }
}

async function open(file: Job['file'], { signal, config }: Context): Promise<Readable> {
  if (file === null) throw new CommandError('the service does not say where the file is')
  if (file.url.startsWith('file:')) return createReadStream(fileURLToPath(file.url))
  if (file.url !== '') {
    const response = await fetch(file.url, { signal })
    if (!response.ok || response.body === null) throw new CommandError(`${file.url} answers ${response.status}`)
    return Readable.fromWeb(response.body)
  }
  const { filestorage, storage_dir } = config().config.processor
  const root =
    filestorage?.type === 'filesystem' ? filestorage.rootdir : filestorage ? undefined : (storage_dir ?? 'data/files')
  if (root === undefined) {
    throw new CommandError(
      `the file is ${file.path} in ${file.storage}: without processor.download_url it cannot be fetched`,
    )
  }
  return createReadStream(path.join(root, file.path))
}
