import { startDownloader } from '../downloader.ts'
import { type Context, post, scaled } from '../load.ts'
import { cpuMs } from '../proc.ts'
import { startBullmqApi } from '../rivals/bullmq.ts'
import { byRole, openStage, type Service, type Stage } from '../stage.ts'
import { difference, type Figures, round } from '../statistics.ts'
import { FILE_BYTES } from './throughput.ts'

const JOBS = 20_000
const WARM_UP = 2000

/** POST only: no worker runs. */
async function postOnly(stage: Stage, service: Service, context: Context): Promise<Figures> {
  const load = { aggregations: 50, job: { aggr_id: 'aggregation', aggr_limit: 20, url: stage.file(FILE_BYTES) } }
  await post(stage, service, { ...load, jobs: scaled(WARM_UP, context) })
  const jobs = scaled(JOBS, context)
  const cpu = () => byRole([...service.processes(), ['redis', stage.redis.pid]], cpuMs)
  const before = cpu()
  const begin = performance.now()
  await post(stage, service, { ...load, jobs })
  const ms = performance.now() - begin
  const { api = 0, redis = 0 } = difference(cpu(), before)
  return {
    posts_per_s: round((jobs / ms) * 1000, 0),
    'cpu_ms_per_post api': round(api / jobs, 3),
    'cpu_ms_per_post redis': round(redis / jobs, 3),
  }
}

export async function enqueue(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startDownloader(stage, { processors: 0, notifiers: 0 })
  return await postOnly(stage, service, context)
}

export async function enqueueToBullmq(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startBullmqApi(stage)
  return await postOnly(stage, service, context)
}
