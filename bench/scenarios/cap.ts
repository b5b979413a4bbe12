import { startDownloader } from '../downloader.ts'
import { type Context, deadlineMs, post, scaled, warmUp } from '../load.ts'
import { openStage } from '../stage.ts'
import { type Figures, round } from '../statistics.ts'
import { FILE_BYTES } from './throughput.ts'

const LIMIT = 10
const DELAY_MS = 100
const JOBS = 1500

/** Three processors on one aggregation whose origin takes 100 ms: how much of the limit is used, and whether it holds. */
export async function cap(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startDownloader(stage, { processors: 3 })
  const job = { aggr_id: 'capped', aggr_limit: LIMIT, url: stage.file(FILE_BYTES, DELAY_MS) }
  const jobs = scaled(JOBS, context)
  await warmUp(stage, service, context)
  await stage.begin()
  await post(stage, service, { jobs, aggregations: 1, job })
  await stage.receiver.ask.reached(jobs, deadlineMs(jobs))
  const { maxOpen, openMs, firstMs, lastMs } = await stage.origin.ask.report()
  return {
    limit: LIMIT,
    most_at_once: maxOpen,
    // requests open at the origin on average, from the first to the end of the last
    used_percent: round((openMs / (lastMs - firstMs) / LIMIT) * 100, 1),
  }
}
