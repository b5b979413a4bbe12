import { quantile, round } from './statistics.ts'

const CLIENTS = 32

/** Runs `post` so often, 32 at a time; resolves to when each id was posted, by the clock that all processes share. */
export async function postAll(jobs: number, post: (i: number) => Promise<string>): Promise<Map<string, number>> {
  const posted = new Map<string, number>()
  let next = 0
  const client = async () => {
    for (let i = next++; i < jobs; i = next++) {
      const begin = performance.timeOrigin + performance.now()
      posted.set(await post(i), begin)
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client))
  return posted
}

/** p50 and p95 of the time from POST to callback, in ms. */
export function latencies(posted: Map<string, number>, callbacks: [id: string, atMs: number][]) {
  const ms = callbacks.map(([id, atMs]) => atMs - (posted.get(id) ?? Number.NaN))
  return { p50_ms: round(quantile(ms, 0.5), 0), p95_ms: round(quantile(ms, 0.95), 0) }
}

/** CPU ms per job of each process, and of all that are ours. */
export function cpuPerJob(cpu: Record<string, number>, jobs: number): Record<string, number> {
  const ours = Object.entries(cpu).filter(([name]) => name !== 'redis')
  return {
    ...Object.fromEntries(Object.entries(cpu).map(([name, ms]) => [`cpu_ms_per_job ${name}`, round(ms / jobs, 3)])),
    cpu_ms_per_job: round(ours.reduce((sum, [, ms]) => sum + ms, 0) / jobs, 3),
  }
}
