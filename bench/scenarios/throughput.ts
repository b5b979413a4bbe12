import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { startDownloader } from '../downloader.ts'
import { type Context, drive, scaled } from '../load.ts'
import { startHelper } from '../remote.ts'
import { startBullmq } from '../rivals/bullmq.ts'
import type { commands as ceilingCommands } from '../rivals/ceiling-process.ts'
import { openStage, type Stage } from '../stage.ts'
import { type Figures, round, spread } from '../statistics.ts'

const JOBS = 5000
const WARM_UP = 3000
export const FILE_BYTES = 10 * 1024
/** Jobs at once of the ceiling: more are no faster. */
const AT_ONCE = 64

const load = (stage: Stage, context: Context, aggregations: number, limit: number) => ({
  jobs: scaled(JOBS, context),
  warmUp: scaled(WARM_UP, context),
  aggregations,
  job: { aggr_id: 'aggregation', aggr_limit: limit, url: stage.file(FILE_BYTES) },
})

/** 5,000 jobs of 10 KiB over 50 aggregations of limit 20, or over one that does not limit. */
export async function throughput(context: Context, aggregations = 50, limit = 20): Promise<Figures> {
  const { profileDir } = context
  await using stage = await openStage()
  await using service = await startDownloader(stage, { profileDir })
  return await drive(stage, service, load(stage, context, aggregations, limit), profileDir)
}

export const oneAggregation = (context: Context) => throughput(context, 1, 1000)

/** The same jobs on BullMQ, which limits no aggregation. */
export async function bullmq(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startBullmq(stage)
  return await drive(stage, service, load(stage, context, 50, 20))
}

/** As many files fetched, written, synced, renamed and called back by one process that has nothing else to do. */
export async function ceiling(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using ceiling = await startHelper<typeof ceilingCommands>('rivals/ceiling-process.ts')
  const dir = path.join(stage.dir, 'files')
  await mkdir(dir)
  const { jobs, warmUp } = load(stage, context, 1, 1)
  const run = { url: stage.file(FILE_BYTES), receiver: stage.receiverUrl, dir, atOnce: AT_ONCE }
  await ceiling.ask.run({ ...run, jobs: warmUp })
  const { ms, cpuMs, jobMs } = await ceiling.ask.run({ ...run, jobs })
  const { p50_ms = 0, p95_ms = 0 } = spread(jobMs)
  return {
    jobs_per_s: round((jobs / ms) * 1000, 0),
    p50_ms: round(p50_ms, 0),
    p95_ms: round(p95_ms, 0),
    'cpu_ms_per_job all roles': round(cpuMs / jobs, 3),
  }
}
