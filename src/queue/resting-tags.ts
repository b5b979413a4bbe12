import type { RestReason } from '../jobs/places.ts'
import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

const SCAN_COUNT = 500
/** With more tags only so many are looked at. */
const MOST = 20_000

/** The tags of a set, page after page; who has enough stops. A tag may come twice. */
export async function* tagPages(redis: Client, set: string): AsyncGenerator<string[]> {
  let cursor = '0'
  do {
    const [next, tags] = await redis.sscan(set, cursor, 'COUNT', SCAN_COUNT)
    cursor = next
    yield tags
  } while (cursor !== '0')
}

/** The codes (`code:…`) and receivers (`to:…`) of what rests for a reason, and how many jobs have each. Most first. */
export async function restingTags(
  redis: Client,
  keys: Keys,
  reason: RestReason,
): Promise<{ tag: string; count: number }[]> {
  const found = new Map<string, number>()
  for await (const tags of tagPages(redis, keys.tags(reason))) {
    const counts = await Promise.all(tags.map((tag) => redis.zcard(`${keys.rest(reason)}:${tag}`)))
    tags.forEach((tag, i) => {
      const count = counts[i] ?? 0
      if (count > 0) found.set(tag, count)
    })
    if (found.size >= MOST) break
  }
  return [...found].map(([tag, count]) => ({ tag, count })).sort((a, b) => b.count - a.count)
}
