import type { Metrics } from './metrics.ts'

/** What the loop of a worker does: claims that it was given, and leases that it lost. */
export function workerMetrics({ counter }: Metrics, rooms: string[]) {
  const claims = counter('claims_total', 'Jobs that this process was given to work on', ['room'])
  const lost = counter('leases_lost_total', 'Jobs that this process had to drop, for their lease ran out', ['room'])
  for (const room of rooms) for (const metric of [claims, lost]) metric.inc({ room }, 0)
  return {
    claimed: (room: string, count: number) => claims.inc({ room }, count),
    lost: (room: string) => lost.inc({ room }),
  }
}

export type WorkerMetrics = ReturnType<typeof workerMetrics>
