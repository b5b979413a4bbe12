import { idOfFile } from './jobs/job.ts'
import type { Log } from './log.ts'
import { keysOf } from './queue/keys.ts'
import { whileReachable } from './queue/reachable.ts'
import { existing } from './queue/records.ts'
import { connect } from './queue/redis.ts'
import type { RedisConfig } from './queue/redis-config.ts'
import type { Storage, StoredFile } from './storage/storage.ts'

export interface StrayCount {
  /** Files that are named like ours, and old enough. */
  examined: number
  /** Those of them that belong to no job. */
  strays: number
  /** bytes of these */
  bytes: number
}

/** What Redis says cannot be believed, or not without somebody who answers for it. */
export class Doubt extends Error {
  override readonly name = 'Doubt'
}

const AT_ONCE = 500
const PATIENCE_MS = 5000

/**
 * Files of a storage that belong to no job that a deployment's Redis knows.
 *
 * A file is in place only after its job is in Redis, and its job leaves Redis only after its file is gone: what is here
 * without a job was left by something that the queue does not know (a worker frozen right before the rename, the Go
 * service, a Redis that lost data). Files are looked at before Redis is asked, so that none is ever named whose job is
 * just beginning.
 */
export function strayFiles(where: RedisConfig, storage: Pick<Storage, 'list' | 'delete'>, log: Log) {
  const redis = connect(where, 'patient', log)
  const keys = keysOf(where.key_prefix)
  /** Never less than before, unless the data is another. */
  let accepted = 0

  async function ask(ids: string[]): Promise<Set<string>> {
    const answer = await existing(redis, keys, ids)
    if (answer.accepted < accepted) throw new Doubt('Redis was emptied, restored or replaced in the meantime')
    accepted = answer.accepted
    return answer.known
  }

  async function walk(
    beforeMs: number,
    onStrays: (strays: StoredFile[]) => Promise<void> | void,
    signal: AbortSignal,
  ): Promise<StrayCount> {
    const count = { examined: 0, strays: 0, bytes: 0 }
    const batch = new Map<string, StoredFile>()
    async function judge(): Promise<void> {
      const known = await ask([...batch.keys()])
      const strays = [...batch].flatMap(([id, file]) => (known.has(id) ? [] : file))
      count.examined += batch.size
      count.strays += strays.length
      for (const { size } of strays) count.bytes += size
      batch.clear()
      await onStrays(strays)
    }
    await ask([]) // or what is forgotten before the first batch would not be noticed
    for await (const file of storage.list(signal)) {
      const id = idOfFile(file.path)
      if (id === undefined || file.modifiedMs > beforeMs) continue
      if (batch.has(id) || batch.size === AT_ONCE) await judge()
      batch.set(id, file)
    }
    await judge()
    return count
  }

  return {
    /** How many jobs Redis was ever given; 0: there was never one, or it was emptied. */
    accepted: () =>
      whileReachable({ Redis: redis }, PATIENCE_MS, async () => {
        await ask([])
        return accepted
      }),

    /**
     * Looks through all files once.
     *
     * @param beforeMs files that were written later are passed over
     * @param onStrays told of them, a few hundred at a time at most
     * @throws {Doubt} when Redis has forgotten what it knew at the beginning
     */
    find: (beforeMs: number, onStrays: (strays: StoredFile[]) => Promise<void> | void, signal: AbortSignal) =>
      whileReachable({ Redis: redis }, PATIENCE_MS, () => walk(beforeMs, onStrays, signal)),

    close: () => redis.disconnect(),
  }
}
