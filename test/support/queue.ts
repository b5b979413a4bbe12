import { type Logger, pino } from 'pino'
import type { DownloadRequest } from '../../src/jobs/job.ts'
import { downloadsRoom, type Place } from '../../src/jobs/places.ts'
import { type Patch, packRequest } from '../../src/jobs/record.ts'
import { type Keys, keysOf } from '../../src/queue/keys.ts'
import { type Queue, queueOf } from '../../src/queue/queue.ts'
import { type Client, connect } from '../../src/queue/redis.ts'
import type { RedisConfig } from '../../src/queue/redis-config.ts'
import { type Claim, type Room, type RoomOptions, roomOf } from '../../src/queue/room.ts'
import { type CheckOptions, checkInvariants, contentsOf, dumpOf, type Snapshot, travel } from './queue-invariants.ts'
import { startRedis, type TestRedis, type TestRedisOptions } from './redis.ts'

export { checkInvariants, type RoomState, type Snapshot, travel } from './queue-invariants.ts'

/** A deployment of its own on a test server: its own key prefix, its own connections. */
export interface TestQueue extends AsyncDisposable {
  readonly config: RedisConfig
  /** What every key begins with: `{prefix}:`. */
  readonly base: string
  readonly keys: Keys
  readonly redis: Client
  readonly subscriber: Client
  readonly queue: Queue
  readonly log: Logger
  /** Everything logged so far. */
  readonly logged: Record<string, unknown>[]
  /** One worker's view of a room; every call is another worker. Default: downloads, 30 s, jobs bring their limits. */
  room(options?: Partial<RoomOptions>): Room
  /** Adds a download; resolves to its id. */
  add(request?: Partial<DownloadRequest>): Promise<string>
  claim(room: Room, count?: number): Promise<Claim[]>
  settle(room: Room, claim: Claim, place: Place, patch?: Patch): Promise<'settled' | 'lost' | 'gone'>
  extend(room: Room, ...claims: Claim[]): Promise<string[]>
  /** Lets time pass: everything that stands in Redis with a time becomes this much older. */
  travel(ms: number): Promise<void>
  /** Every key and what it holds, to be compared. */
  contents(): Promise<Record<string, unknown>>
  /** Recounts everything, see `checkInvariants`. */
  check(options?: CheckOptions): Promise<Snapshot>
}

/**
 * Adds one job by the script itself, under an id that the test chooses.
 *
 * @returns what became of it: `added`, `known` …
 */
export async function addByScript(
  redis: Client,
  room: string,
  job: { id: string; request?: string; group?: string; terms?: string; gift?: string; delayMs?: number },
): Promise<string | undefined> {
  const { id, request: text = packRequest(request()), group = 'group', terms = '8', gift = '', delayMs = 0 } = job
  return (await redis.addJobs(room, 0, id, text, group, terms, gift, delayMs, 0, 0, '', ''))[1]
}

/** A signal that never aborts. */
export const never = new AbortController().signal

/** A request with what every request has. */
export const request = (fields: Partial<DownloadRequest> = {}): DownloadRequest => ({
  aggrId: 'group',
  aggrLimit: 1000,
  url: 'http://origin.example/file',
  callbackType: 'http',
  callbackDst: 'http://receiver.example/',
  ...fields,
})

let opened = 0

/** @param where the server, if not at `addr` */
export function openQueue({ addr }: Pick<TestRedis, 'addr'>, where: Partial<RedisConfig> = { addr }): TestQueue {
  const prefix = `test-${process.pid}-${++opened}`
  const config: RedisConfig = { ...where, key_prefix: prefix }
  const { log, logged } = recordingLog()
  const redis = connect(config, 'patient', log)
  const subscriber = connect(config, 'patient', log)
  const keys = keysOf(prefix)
  const base = `{${prefix}}:`
  const queue = queueOf(redis, keys)
  return {
    config,
    base,
    keys,
    redis,
    subscriber,
    queue,
    log,
    logged,
    room(options = {}) {
      return roomOf(redis, subscriber, keys, { name: downloadsRoom, leaseMs: 30_000, groupLimit: 0, ...options }, log)
    },
    add: (fields) => queue.add(request(fields)),
    async claim(room, count = 1) {
      return (await room.claim(count, never)).claims
    },
    settle: (room, claim, place, patch = {}) => room.settle(claim, { place, patch }, never),
    extend: async (room, ...claims) => (await room.extend(claims.map((claim) => ({ claim })))).lost,
    travel: (ms) => travel(redis, base, ms),
    contents: async () => contentsOf(await dumpOf(redis, base)),
    check: (options) => checkInvariants(redis, base, options),
    async [Symbol.asyncDispose]() {
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}

/**
 * To be called in a `describe`: starts a server for its tests. `test` is `it` for a test that gets a queue of its own,
 * whose books are checked at the end.
 */
export function queueSuite(options?: TestRedisOptions) {
  let started: TestRedis | undefined
  const server = () => {
    if (!started) throw new Error('the server runs while tests run')
    return started
  }
  before(async () => {
    started = await startRedis(options)
  })
  after(() => started?.[Symbol.asyncDispose]())
  return {
    server,
    test(name: string, body: (q: TestQueue) => Promise<void>) {
      it(name, async () => {
        await using q = openQueue(server())
        await body(q)
        await q.check()
      })
    },
  }
}

/** A real logger whose lines are kept. */
export function recordingLog(): { log: Logger; logged: Record<string, unknown>[] } {
  const logged: Record<string, unknown>[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void logged.push(JSON.parse(line)) })
  return { log, logged }
}

/** Waits until `holds`, looking often; a test that waits in vain says for what. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const deadline = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
