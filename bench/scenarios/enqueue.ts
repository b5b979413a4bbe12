import { openStage } from '../stage.ts'
import { difference, round } from '../statistics.ts'

const JOBS = 10_000
const CLIENTS = 32

/** POST only: no processor runs. */
export async function enqueue() {
  await using stage = await openStage({ processors: 0 })
  const job = (i: number) => ({ aggr_id: `aggregation-${i % 50}`, aggr_limit: 20, url: `${stage.origin}/0` })
  const post = async (jobs: number) => {
    let next = 0
    const client = async () => {
      for (let i = next++; i < jobs; i = next++) await stage.post(job(i))
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
  }
  await post(1000)
  const before = stage.cpuMs()
  const begin = performance.now()
  await post(JOBS)
  const ms = performance.now() - begin
  const { api = 0, redis = 0 } = difference(stage.cpuMs(), before)
  return {
    posts_per_s: round((JOBS / ms) * 1000, 0),
    'cpu_ms_per_post api': round(api / JOBS, 3),
    'cpu_ms_per_post redis': round(redis / JOBS, 3),
  }
}
