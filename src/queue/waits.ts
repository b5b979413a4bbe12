import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

/** Groups of a room that are looked at: with more, the oldest job may be one of a group further back in the line. */
const GROUPS = 200

/** For how many ms the oldest job of each room waits that could start now; costs the same however many jobs there are. */
export async function waitsOf(redis: Client, keys: Keys): Promise<Map<string, number>> {
  const flat = await redis.waitingJobs(keys.totals, GROUPS)
  const waits = new Map<string, number>()
  for (let i = 0; i < flat.length; i += 2) waits.set(String(flat[i]), Number(flat[i + 1]))
  return waits
}
