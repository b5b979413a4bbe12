import { createdOf } from './created.ts'
import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

const GROUPS_AT_ONCE = 500
/** With more groups in a room only so many are looked at. */
const MOST_GROUPS = 20_000

/**
 * For how many ms the job waits that could start and waits longest in a room; undefined when none does. Paused groups do
 * not count.
 */
export async function longestWaitMs(redis: Client, keys: Keys, name: string): Promise<number | undefined> {
  const room = keys.room(name)
  let longest: number | undefined
  let cursor = '0'
  let seen = 0
  do {
    const [next, flat] = await redis.hscan(`${room}:groups`, cursor, 'COUNT', GROUPS_AT_ONCE)
    cursor = next
    const groups = flat.filter((_, i) => i % 2 === 0)
    seen += groups.length
    if (groups.length === 0) continue
    const [nowMs, first] = await redis.longestWait(room, ...groups)
    if (first !== null) longest = Math.max(longest ?? 0, nowMs - createdOf(Number(first), nowMs))
  } while (cursor !== '0' && seen < MOST_GROUPS)
  return longest
}
