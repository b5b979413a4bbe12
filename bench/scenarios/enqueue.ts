import { postAll } from '../load.ts'
import { openStage } from '../stage.ts'
import { difference, round } from '../statistics.ts'

const JOBS = 10_000

/** POST only: no worker runs. */
export async function enqueue() {
  await using stage = await openStage({}, true)
  const post = (i: number) =>
    stage.enqueue({ aggr_id: `aggregation-${i % 50}`, aggr_limit: 20, url: `${stage.origin}/0` })
  await postAll(1000, post)
  const before = stage.cpuMs()
  const begin = performance.now()
  await postAll(JOBS, post)
  const ms = performance.now() - begin
  const { api = 0, redis = 0 } = difference(stage.cpuMs(), before)
  return {
    posts_per_s: round((JOBS / ms) * 1000, 0),
    'cpu_ms_per_post api': round(api / JOBS, 3),
    'cpu_ms_per_post redis': round(redis / JOBS, 3),
  }
}
