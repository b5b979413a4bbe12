import { createHash } from 'node:crypto'
import { type Client, RedisUnavailable } from './redis.ts'
import type { RedisConfig } from './redis-config.ts'
import { scripts } from './scripts.ts'

/** Runs a script that writes; resolves to its reply when the write is as safe as the deployment wants it. */
export type Write = (
  script: 'addJobs' | 'moveJob' | 'adoptJob' | 'touch',
  ...args: (string | number)[]
) => Promise<unknown>

/** Less than a command may take: what is not safe by then is answered with 503. */
const WAIT_MS = 700
const MAX_BATCH = 500

interface Pending {
  script: Parameters<Write>[0]
  args: (string | number)[]
  resolve: (reply: unknown) => void
  reject: (error: unknown) => void
}

/**
 * A writer that waits for replicas (`WAIT`) and for the master's append-only file (`WAITAOF`) where the configuration
 * asks for it. Redis blocks the connection meanwhile, so writes that come then share the next wait.
 *
 * @param waitMs after which a write that is not safe yet is given up; it may be carried out all the same
 */
export function durableWrites(
  redis: Client,
  { wait_replicas = 0, wait_aof = false }: RedisConfig,
  waitMs = WAIT_MS,
): Write {
  if (wait_replicas === 0 && !wait_aof) return (script, ...args) => redis[script](...(args as [string, never]))
  const queued: Pending[] = []
  let busy = false
  return (script, ...args) =>
    new Promise((resolve, reject) => {
      queued.push({ script, args, resolve, reject })
      if (!busy) void run()
    })

  async function run(): Promise<void> {
    busy = true
    while (queued.length > 0) {
      const batch = queued.splice(0, MAX_BATCH)
      try {
        const replies = await commit(batch, 'evalsha')
        for (const [i, { resolve, reject }] of batch.entries()) {
          const [error, reply] = replies[i] ?? []
          if (error) reject(error)
          else resolve(reply)
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    busy = false
  }

  /** In one pipeline, for both waits speak of what was written on their connection before. */
  async function commit(batch: Pending[], by: 'evalsha' | 'eval', moved = false): Promise<[Error | null, unknown][]> {
    const pipeline = redis.pipeline()
    for (const { script, args } of batch) {
      const { numberOfKeys, lua } = scripts[script]
      pipeline.call(by, by === 'eval' ? lua : sha1(lua), numberOfKeys, ...args)
    }
    if (wait_replicas > 0) pipeline.call('WAIT', wait_replicas, waitMs)
    if (wait_aof) pipeline.call('WAITAOF', 1, 0, waitMs)
    const replies = (await pipeline.exec()) ?? []
    const written = replies.slice(0, batch.length)
    // ioredis itself would send the source after the waits
    if (written.some(([error]) => error?.message.startsWith('NOSCRIPT')) && by === 'evalsha') {
      return commit(batch, 'eval', moved)
    }
    if (written.some(([error]) => error?.message.startsWith('MOVED')) && !moved) {
      // ioredis follows only a pipeline whose commands were all moved, and WAIT has no key. A command by itself is
      // followed, and teaches it the new place.
      await redis.exists(String(batch[0]?.args[0]))
      return commit(batch, by, true)
    }
    if (written.every(([error]) => error)) return written // nothing to wait for
    const waits = replies.slice(batch.length)
    const replicas = wait_replicas > 0 ? answerOf(waits.shift()) : 0
    if (Number(replicas) < wait_replicas) {
      throw new RedisUnavailable(`the write is on ${replicas} of ${wait_replicas} replicas (redis.wait_replicas)`)
    }
    const fsynced = wait_aof ? answerOf(waits.shift()) : [1]
    if (Number((fsynced as number[])[0]) < 1) {
      throw new RedisUnavailable("the write is not in the master's append-only file yet (redis.wait_aof)")
    }
    return written
  }
}

function answerOf(reply: [Error | null, unknown] | undefined): unknown {
  const [error, answer] = reply ?? [new RedisUnavailable('Redis did not answer')]
  if (error) throw error
  return answer
}

const digests = new Map<string, string>()

function sha1(lua: string): string {
  const known = digests.get(lua)
  if (known) return known
  const digest = createHash('sha1').update(lua).digest('hex')
  digests.set(lua, digest)
  return digest
}
