import type { Client } from '../redis.ts'
import type { GoRow } from '../scripts.ts'

/** What the jobs of a queue wait for. */
export type Kind = 'downloads' | 'callbacks' | 'deletions'
export const kinds: readonly Kind[] = ['downloads', 'callbacks', 'deletions']

/** A job as the Go service has it. */
export interface GoJob {
  id: string
  /** Not before, in ms since the epoch; NaN for one that stands in no queue. */
  dueMs: number
  /** As they stand in the hash; empty when there is no hash. */
  fields: Map<string, string>
  /** Of its aggregation, as texts; undefined when there is no such aggregation any more. */
  aggregation: { limit: string; proxy: string } | undefined
}

/** The Redis of the Go service, to be read and emptied. Lib.lua describes its keys. */
export interface GoService {
  /** Whether a process of it is connected, or has been within its last seconds. */
  alive(): Promise<boolean>
  /** The keys that look like queues of this kind. */
  queues(kind: Kind): AsyncIterable<string>
  isQueue(key: string): Promise<boolean>
  /** Ids of a sorted set, some at a time; those that come or go meanwhile may be missing. */
  members(key: string): AsyncIterable<string[]>
  /** Ids of all jobs that have a hash, some at a time. */
  jobs(): AsyncIterable<string[]>
  peek(queue: string, ids: string[]): Promise<GoJob[]>
  /** Takes jobs out of a queue; resolves to those that are ours to move now. */
  take(kind: Kind, queue: string, ids: string[]): Promise<GoJob[]>
  giveBack(kind: Kind, job: GoJob): Promise<void>
  /** Those of the jobs that stand in no queue. */
  strays(ids: string[]): Promise<GoJob[]>
  /** Removes jobs that are ours now. */
  remove(ids: string[], taken: Kind | undefined): Promise<void>
}

/** Where jobs stand that were taken out of a queue. */
export const takenKey = (kind: Kind): string => `downloader-import:${kind}`

const QUEUES = { callbacks: 'CallbackQueue', deletions: 'JobDeletionQueue' } as const
const BATCH = 500
/** What its processes call their connections. */
const NAMES = new Set(['api', 'processor', 'notifier'])

export function goServiceOf(redis: Client): GoService {
  async function* scan(prefix: string): AsyncIterable<string[]> {
    let cursor = '0'
    do {
      const [next, keys] = await redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', BATCH)
      cursor = next
      if (keys.length > 0) yield keys
    } while (cursor !== '0')
  }

  return {
    async alive() {
      const [clients, reports] = await Promise.all([
        (redis.client('LIST') as Promise<string>).catch(() => ''), // not every user may: then the reports alone tell
        redis.exists('stats:processor', 'stats:notifier'),
      ])
      const db = ` db=${redis.options.db ?? 0} `
      const connected = clients.split('\n').some((line) => {
        return line.includes(db) && NAMES.has(/ name=(\S*)/.exec(line)?.[1] ?? '')
      })
      return connected || reports > 0
    },

    async *queues(kind) {
      if (kind !== 'downloads') yield QUEUES[kind]
      else for await (const keys of scan('jobs:')) yield* keys
    },

    async isQueue(key) {
      return ['zset', 'none'].includes(await redis.type(key))
    },

    async *members(key) {
      let cursor = '0'
      do {
        const [next, flat] = await redis.zscan(key, cursor, 'COUNT', BATCH)
        cursor = next
        const ids = flat.filter((_, i) => i % 2 === 0)
        // a small set comes whole
        for (let i = 0; i < ids.length; i += BATCH) yield ids.slice(i, i + BATCH)
      } while (cursor !== '0')
    },

    async *jobs() {
      for await (const keys of scan('job:')) yield keys.map((key) => key.slice('job:'.length))
    },

    async peek(queue, ids) {
      return (await redis.peekGoJobs(queue, ...ids)).map(unpack)
    },

    async take(kind, queue, ids) {
      return (await redis.takeGoJobs(queue, takenKey(kind), ...ids)).map(unpack)
    },

    async giveBack(kind, { id, dueMs, fields }) {
      const queue = kind === 'downloads' ? `jobs:${fields.get('AggrID') ?? ''}` : QUEUES[kind]
      await redis.giveBackGoJob(takenKey(kind), queue, id, dueMs / 1000)
    },

    async strays(ids) {
      return (await redis.findGoStrays(...Object.values(QUEUES), ...kinds.map(takenKey), ...ids)).map(unpack)
    },

    async remove(ids, taken) {
      const both = redis.multi().del(...ids.map((id) => `job:${id}`))
      if (taken) both.zrem(takenKey(taken), ...ids)
      const replies = await both.exec()
      for (const [error] of replies ?? []) if (error) throw error
    },
  }
}

function unpack([id, score, flat, aggregation]: GoRow): GoJob {
  const fields = new Map<string, string>()
  for (let i = 0; i + 1 < flat.length; i += 2) fields.set(flat[i] as string, flat[i + 1] as string)
  const [, limit = '', proxy = ''] = /^(\S*) (.*)$/s.exec(aggregation) ?? []
  return {
    id,
    dueMs: score === '' ? Number.NaN : Number(score) * 1000,
    fields,
    aggregation: aggregation === '' ? undefined : { limit, proxy },
  }
}
