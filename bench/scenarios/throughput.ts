import { openStage, type Stage } from '../stage.ts'
import { difference, quantile, round } from '../statistics.ts'

const JOBS = 5000
const WARM_UP = 1000
const CLIENTS = 32

/** Posts `jobs` jobs, `CLIENTS` at a time; resolves to when each was posted. */
async function postAll(stage: Stage, jobs: number, aggregations: number, limit: number): Promise<Map<string, number>> {
  const posted = new Map<string, number>()
  let next = 0
  const client = async () => {
    for (let i = next++; i < jobs; i = next++) {
      const begin = performance.timeOrigin + performance.now()
      const aggr_id = `aggregation-${i % aggregations}`
      posted.set(await stage.post({ aggr_id, aggr_limit: limit, url: `${stage.origin}/0` }), begin)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return posted
}

/** 5,000 jobs of 10 KiB, from the first POST to the last callback. */
export async function throughput(aggregations = 50, limit = 20) {
  await using stage = await openStage()
  await postAll(stage, WARM_UP, aggregations, limit)
  await stage.count(WARM_UP)
  stage.begin()

  const cpuBefore = stage.cpuMs()
  const redisBefore = await stage.redisCalls()
  const begin = performance.now()
  const posted = await postAll(stage, JOBS, aggregations, limit)
  await stage.count(JOBS)
  const ms = performance.now() - begin
  const cpu = difference(stage.cpuMs(), cpuBefore)
  const { commands, reads } = difference(await stage.redisCalls(), redisBefore)
  const { callbacks } = await stage.report()
  const latencies = callbacks.map(([id, atMs]) => atMs - (posted.get(id) ?? Number.NaN))

  return {
    jobs_per_s: round((JOBS / ms) * 1000, 0),
    p50_ms: round(quantile(latencies, 0.5), 0),
    p95_ms: round(quantile(latencies, 0.95), 0),
    ...Object.fromEntries(Object.entries(cpu).map(([name, value]) => [`cpu_ms_per_job ${name}`, round(value / JOBS)])),
    redis_commands_per_job: round((commands ?? 0) / JOBS),
    redis_round_trips_per_job: round((reads ?? 0) / JOBS),
  }
}

export const oneAggregation = () => throughput(1, 1000)
