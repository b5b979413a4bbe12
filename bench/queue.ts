import { pino } from 'pino'
import { downloadsRoom } from '../src/jobs/places.ts'
import { keysOf } from '../src/queue/keys.ts'
import { type Queue, queueOf } from '../src/queue/queue.ts'
import { type Client, connect } from '../src/queue/redis.ts'
import { type Room, roomOf } from '../src/queue/room.ts'
import type { Stage } from './stage.ts'

/** The queue of the service on stage, from within: to load it, and to look. */
export interface Inside extends AsyncDisposable {
  readonly redis: Client
  readonly queue: Queue
  /** The downloads, as a worker sees them that holds what it claims for an hour. */
  readonly downloads: Room
}

const LEASE_MS = 3_600_000

export function openQueue(stage: Stage): Inside {
  const config = { addr: stage.redis.addr, key_prefix: 'downloader' }
  const log = pino({ level: 'silent' })
  const redis = connect(config, 'patient', log)
  const subscriber = connect(config, 'patient', log)
  const keys = keysOf(config.key_prefix)
  const options = { name: downloadsRoom, leaseMs: LEASE_MS, groupLimit: 0 }
  return {
    redis,
    queue: queueOf(redis, keys),
    downloads: roomOf(redis, subscriber, keys, options, log),
    async [Symbol.asyncDispose]() {
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}

/** A signal that never aborts. */
export const never = new AbortController().signal

const AT_ONCE = 1000

/** Calls `add` so often, a thousand at a time. */
export async function addMany(count: number, add: (i: number) => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count; done += AT_ONCE) {
    const some = Math.min(AT_ONCE, count - done)
    await Promise.all(Array.from({ length: some }, (_, k) => add(done + k)))
  }
}
