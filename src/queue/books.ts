import { type RestReason, restReasons } from '../jobs/places.ts'
import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

/** How many jobs a deployment has, by place, all at one moment. */
export interface Books {
  accepted: number
  gone: number
  rooms: { room: string; pending: number; claimed: number }[]
  rest: Record<RestReason, number>
  /** Hosts in trouble within the last hour, and those of them that are down: nothing starts there. */
  hosts: { watched: number; open: number }
  /** Jobs that were accepted and are in no place: 0, or the books do not agree. */
  unaccounted: number
}

/** Reads the books; costs the same however many jobs there are. */
export async function booksOf(redis: Client, keys: Keys): Promise<Books> {
  const [accepted, gone, rooms, rest, watched, open] = await redis.accountJobs(keys.totals, ...restReasons)
  const none = { done: 0, failed: 0, 'callback-failed': 0, cancelled: 0 }
  const books: Books = { accepted, gone, rooms: [], rest: none, hosts: { watched, open }, unaccounted: 0 }
  let here = 0
  for (let i = 0; i < rooms.length; i += 3) {
    const [room = '', pending = 0, claimed = 0] = rooms.slice(i, i + 3)
    books.rooms.push({ room: String(room), pending: Number(pending), claimed: Number(claimed) })
    here += Number(pending) + Number(claimed)
  }
  books.rooms.sort((a, b) => (a.room < b.room ? -1 : 1))
  for (let i = 0; i < rest.length; i += 2) {
    books.rest[rest[i] as RestReason] = Number(rest[i + 1])
    here += Number(rest[i + 1])
  }
  books.unaccounted = accepted - gone - here
  return books
}
