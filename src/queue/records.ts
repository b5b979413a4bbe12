import type { Job } from '../jobs/job.ts'
import { unpackJob } from '../jobs/record.ts'
import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

/**
 * The records of jobs, in one round trip.
 *
 * @param ids a few hundred at most
 * @returns in their order; undefined for a job that there is not
 */
export async function recordsOf(redis: Client, keys: Keys, ids: string[]): Promise<(Job | undefined)[]> {
  if (ids.length === 0) return []
  const rows = await redis.readJobs(keys.totals, ...ids)
  return ids.map((id, i) => {
    const [request = null, state = []] = rows[i] ?? []
    return request === null && state.length === 0 ? undefined : unpackJob(id, request, state)
  })
}
