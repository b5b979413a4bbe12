import { cpuPerJob, postAll } from '../load.ts'
import { openStage } from '../stage.ts'
import { difference, round } from '../statistics.ts'

const JOBS = 2000

/** So many processors of concurrency 16 on one group of limit 32 (64 for four), whose origin takes 50 ms. */
export async function scale(processors: number, limit = 32) {
  await using stage = await openStage({ processors, concurrency: 16 })
  const post = () => stage.enqueue({ aggr_id: 'one', aggr_limit: limit, url: `${stage.origin}/50` })
  await postAll(400, post)
  await stage.count(400)
  stage.begin()
  const before = stage.cpuMs()
  const begin = performance.now()
  await postAll(JOBS, post)
  await stage.count(JOBS)
  const ms = performance.now() - begin
  const cpu = cpuPerJob(difference(stage.cpuMs(), before), JOBS)
  return { jobs_per_s: round((JOBS / ms) * 1000, 0), cpu_ms_per_job: cpu.cpu_ms_per_job ?? Number.NaN }
}
