import { startDownloader } from '../downloader.ts'
import { type Context, drive, scaled, warmUp } from '../load.ts'
import { openStage } from '../stage.ts'
import type { Figures } from '../statistics.ts'
import { FILE_BYTES } from './throughput.ts'

const JOBS = 3000
const WARM_UP = 300
const DELAY_MS = 50
const CONCURRENCY = 16

/** So many processors of concurrency 16 on one group that lets them all work, and whose origin takes 50 ms. */
export async function scale(context: Context, processors: number): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startDownloader(stage, { processors, concurrency: CONCURRENCY })
  for (let i = 0; i < processors; i++) await warmUp(stage, service, context)
  return await drive(stage, service, {
    jobs: scaled(JOBS, context),
    warmUp: scaled(WARM_UP, context),
    aggregations: 1,
    job: {
      aggr_id: 'one',
      aggr_limit: CONCURRENCY * Math.max(2, processors),
      url: stage.file(FILE_BYTES, DELAY_MS),
    },
  })
}
