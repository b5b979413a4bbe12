//   the Go service's Redis                                    ours
//
//   jobs:<aggr_id>  ─┐ take                        adopt
//   CallbackQueue   ─┼──────▶ downloader-import:* ───────▶ room, rest   once for each id
//   JobDeletionQueue─┘          │ remove
//                               ▼
//   job:<id> in no queue ─────▶ gone        only once the Go service is stopped
//
// Each arrow is one atomic script, and may be repeated. An import that dies leaves jobs in downloader-import:*, where the
// next one begins.

import type { CallbackType } from '../jobs/job.ts'
import type { Log } from '../log.ts'
import { printable } from '../printable.ts'
import { durableWrites } from '../queue/durable.ts'
import { type AdoptedJob, adoption } from '../queue/import/adoption.ts'
import { type GoJob, goServiceOf, type Kind, kinds, takenKey } from '../queue/import/go-service.ts'
import { keysOf } from '../queue/keys.ts'
import { whileReachable } from '../queue/reachable.ts'
import { connect } from '../queue/redis.ts'
import type { RedisConfig } from '../queue/redis-config.ts'
import { type Tally, tallying } from './tally.ts'
import { Refused, translation, type What } from './translation.ts'

export interface ImportOptions {
  /** The Redis of the Go service. */
  from: RedisConfig
  redis: RedisConfig
  backends: readonly CallbackType[]
  /** Name of the storage that the files of both services are in. */
  storage: string
  dryRun: boolean
  /** No process of the Go service runs any more: what it worked on is moved, too. */
  stopped: boolean
  log: Log
  /** How long a Redis may be away until the import gives up. */
  patienceMs?: number
}

/** The import cannot begin; the message says why. */
export class ImportError extends Error {
  override readonly name = 'ImportError'
}

const PATIENCE_MS = 15_000
const PROGRESS_EVERY_MS = 10_000
/** Many aggregations have few jobs: while one waits for an answer, others are asked for. */
const QUEUES_AT_ONCE = 8
const STILL_ALIVE =
  '--stopped: a process of the Go service is connected to its Redis, or was within the last ten seconds'

/**
 * Moves the jobs of the Go service into ours, in bounded memory.
 *
 * @param print takes a line: each job that is refused, and what was moved
 * @returns whether nothing was refused
 * @throws {ImportError}
 * @throws {RedisUnavailable}, and the reason of `stop`: the next import goes on from there
 */
export async function runImport(
  options: ImportOptions,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<boolean> {
  const { dryRun, stopped, log, patienceMs = PATIENCE_MS } = options
  const source = connect(options.from, 'patient', log)
  const target = connect(options.redis, 'patient', log)
  const tally = tallying()
  const progress = setInterval(() => log.info({ moved: tally.total }, 'importing'), PROGRESS_EVERY_MS)
  try {
    const goService = goServiceOf(source)
    const clients = { 'the Redis of the Go service': source, 'our Redis': target }
    const alive = await whileReachable(clients, patienceMs, () => goService.alive())
    if (stopped && alive) throw new ImportError(STILL_ALIVE)
    const adopt = adoption(durableWrites(target, options.redis), keysOf(options.redis.key_prefix))
    const move = importing(options, goService, adopt, tally, print)
    await whileReachable(clients, patienceMs, () => move(stop)).finally(() => {
      for (const line of tally.lines(dryRun)) print(line)
    })
    return tally.refusals === 0
  } finally {
    clearInterval(progress)
    source.disconnect()
    target.disconnect()
  }
}

function importing(
  { backends, storage, dryRun, stopped, log }: ImportOptions,
  source: ReturnType<typeof goServiceOf>,
  adopt: ReturnType<typeof adoption>,
  tally: Tally,
  print: (line: string) => void,
) {
  const unknownFields = new Set<string>()
  const { queued, stray } = translation({ backends, storage, onUnknownField })

  return async (stop: AbortSignal): Promise<void> => {
    for (const kind of kinds) await resume(kind, stop)
    for (const kind of kinds) await forEach(source.queues(kind), (queue) => drain(kind, queue, stop))
    if (stopped) await collect(stop)
  }

  /** What an import that ended early had taken. */
  async function resume(kind: Kind, stop: AbortSignal): Promise<void> {
    for await (const ids of source.members(takenKey(kind))) {
      stop.throwIfAborted()
      await finish(kind, await source.peek(takenKey(kind), ids))
    }
  }

  async function drain(kind: Kind, queue: string, stop: AbortSignal): Promise<void> {
    if (!(await source.isQueue(queue))) return refuse(queue, 'is no sorted set')
    for await (const ids of source.members(queue)) {
      stop.throwIfAborted()
      const good: string[] = []
      for (const job of await source.peek(queue, ids)) {
        const translated = attempt(queue, job.id, () => queued(kind, job))
        if (translated && dryRun) tally.moved(translated.what, 1)
        else if (translated) good.push(job.id)
      }
      if (good.length > 0) await finish(kind, await source.take(kind, queue, good))
    }
  }

  /** Jobs that are taken become ours, and go from there. */
  async function finish(kind: Kind, jobs: GoJob[]): Promise<void> {
    const ready: { job: AdoptedJob; what: What }[] = []
    for (const job of jobs) {
      const translated = attempt(takenKey(kind), job.id, () => queued(kind, job))
      if (translated) ready.push(translated)
      // it was taken under another configuration
      else if (!dryRun && job.fields.size > 0) await source.giveBack(kind, job)
    }
    await move(ready, kind)
  }

  /** What no queue has: the Go service worked on it when it was stopped or died, or has done with it. */
  async function collect(stop: AbortSignal): Promise<void> {
    for await (const ids of source.jobs()) {
      stop.throwIfAborted()
      const jobs = await source.strays(ids)
      const ready = jobs.flatMap((job) => attempt(`job:${job.id}`, '', () => stray(job, Date.now())) ?? [])
      await move(ready, undefined)
    }
  }

  async function move(jobs: { job: AdoptedJob; what: What }[], taken: Kind | undefined): Promise<void> {
    if (jobs.length === 0) return
    if (dryRun) {
      for (const { what } of jobs) tally.moved(what, 1)
      return
    }
    const adopted = await Promise.all(jobs.map(({ job }) => adopt(job)))
    jobs.forEach(({ what }, i) => {
      if (adopted[i]) tally.moved(what, 1)
      else tally.known(1)
    })
    await source.remove(
      jobs.map(({ job }) => job.id),
      taken,
    )
  }

  function attempt<T>(key: string, id: string, translate: () => T): T | undefined {
    try {
      return translate()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      refuse(id ? `${key} ${id}` : key, error.message)
      return undefined
    }
  }

  function refuse(where: string, why: string): void {
    tally.refused()
    print(printable(`${where}: ${why}`))
  }

  function onUnknownField(name: string): void {
    if (unknownFields.has(name) || unknownFields.size >= 100) return
    unknownFields.add(name)
    log.warn({ field: name }, 'jobs have a field that is not known here: it is left out')
  }
}

async function forEach<T>(items: AsyncIterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.asyncIterator]()
  const worker = async () => {
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: QUEUES_AT_ONCE }, worker))
}
