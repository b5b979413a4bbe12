import type { Job } from '../jobs/job.ts'
import { unpackJob } from '../jobs/record.ts'
import type { Whereabouts } from '../jobs/state.ts'
import { type Keys, pendingIn } from './keys.ts'
import { type Client, RedisUnavailable } from './redis.ts'

/** A job in a list, and where it was then. */
export interface Listed {
  job: Job
  where: Whereabouts
}

/**
 * The records of jobs that were found somewhere, in one round trip. A job that has moved on since is left out: its record
 * would say something else than the place.
 *
 * @param found ids and where; a few hundred at most
 */
export async function recordsOf(redis: Client, keys: Keys, found: [string, Whereabouts][]): Promise<Listed[]> {
  if (found.length === 0) return []
  const sets = found.map(([, where]) => setOf(keys, where))
  const ids = found.map(([id]) => id)
  const rows = await redis.readJobs(found.length, ...sets, ...ids)
  return found.flatMap(([id, where], i): Listed[] => {
    const [score, request = null, state = []] = rows[i] ?? []
    const isThere = score !== undefined && (request !== null || state.length > 0)
    return isThere ? [{ job: unpackJob(id, request, state), where: timed(where, Number(score)) }] : []
  })
}

/** The sorted set that a job is in while it is there. */
function setOf(keys: Keys, where: Whereabouts): string {
  if (where.kind === 'rest') return keys.rest(where.reason)
  const room = keys.room(where.room)
  return where.kind === 'pending' ? `${room}:pending:${pendingIn(where)}` : `${room}:leases`
}

/** With the time that belongs to the record. */
function timed(where: Whereabouts, ms: number): Whereabouts {
  if (where.kind === 'rest') return { ...where, sinceMs: ms }
  return where.kind === 'pending' ? { ...where, startsMs: ms } : { ...where, leaseEndsMs: ms }
}

/**
 * Which of these jobs there are, and how many were ever accepted, in one round trip.
 *
 * @param ids a few hundred at most
 */
export async function existing(
  redis: Client,
  keys: Keys,
  ids: string[],
): Promise<{ known: Set<string>; accepted: number }> {
  const pipeline = redis.pipeline()
  for (const id of ids) pipeline.exists(keys.request(id), keys.state(id))
  const replies = (await pipeline.hget(keys.totals, 'accepted').exec()) ?? []
  const values = replies.map(([error, value]) => {
    if (error) throw error
    return value
  })
  if (values.length !== ids.length + 1) throw new RedisUnavailable('Redis did not answer all that it was asked')
  return { known: new Set(ids.filter((_, i) => values[i] !== 0)), accepted: Number(values.at(-1) ?? 0) }
}
