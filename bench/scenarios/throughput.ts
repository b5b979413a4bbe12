import { cpuPerJob, latencies, postAll } from '../load.ts'
import { openStage } from '../stage.ts'
import { difference, round } from '../statistics.ts'

export const JOBS = 5000
export const WARM_UP = 2000

/** 5,000 jobs of 10 KiB, from the first POST to the last callback. */
export async function throughput(aggregations = 50, limit = 20) {
  await using stage = await openStage()
  const post = (i: number) =>
    stage.enqueue({ aggr_id: `aggregation-${i % aggregations}`, aggr_limit: limit, url: `${stage.origin}/0` })
  await postAll(WARM_UP, post)
  await stage.count(WARM_UP)
  stage.begin()

  const cpuBefore = stage.cpuMs()
  const redisBefore = await stage.redisCalls()
  const begin = performance.now()
  const posted = await postAll(JOBS, post)
  await stage.count(JOBS)
  const ms = performance.now() - begin
  const cpu = difference(stage.cpuMs(), cpuBefore)
  const { commands, reads } = difference(await stage.redisCalls(), redisBefore)
  return {
    jobs_per_s: round((JOBS / ms) * 1000, 0),
    ...latencies(posted, (await stage.report()).callbacks),
    ...cpuPerJob(cpu, JOBS),
    redis_commands_per_job: round((commands ?? 0) / JOBS),
    redis_round_trips_per_job: round((reads ?? 0) / JOBS),
  }
}

export const oneAggregation = () => throughput(1, 1000)
