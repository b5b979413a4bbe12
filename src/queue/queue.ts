import { createHash } from 'node:crypto'
import { type DownloadRequest, type Job, newJobId } from '../jobs/job.ts'
import {
  downloadsRoom,
  firstPlace,
  nextPlace,
  type Outcome,
  type RestReason,
  termsOf,
  withBurst,
} from '../jobs/places.ts'
import { packPatch, packRequest, unpackJob } from '../jobs/record.ts'
import type { Write } from './durable.ts'
import type { Keys } from './keys.ts'
import { moveTo } from './move.ts'
import type { Client } from './redis.ts'
import type { AddReply } from './scripts.ts'

/** What an operator sets of a group. */
export interface GroupSettings {
  limit?: number
  paused?: boolean
  /** Jobs begun per second, at most, and how many of them at once. */
  rate?: number
  burst?: number
}

export interface GroupSize {
  group: string
  pending: number
}

/** A job that somebody wants done. */
export interface NewJob {
  request: DownloadRequest
  /** Under the same key the same request is accepted once in 24 h. At most 64 characters, no white space. */
  idempotencyKey?: string | undefined
}

/**
 * What became of a new job. `conflict`: its idempotency key came with another request. `full`: too many jobs are pending.
 */
export type Acceptance = { id: string } | { refused: 'conflict' | 'full' }

/** A deployment's queue as those see it who put jobs in and look at them. */
export interface Queue {
  /**
   * Accepts jobs, in one round trip; resolves, in their order, when Redis has them. They keep their order.
   *
   * @param jobs at most a few hundred: Redis does nothing else meanwhile
   */
  accept(jobs: NewJob[]): Promise<Acceptance[]>
  /** Accepts a job. */
  add(request: DownloadRequest): Promise<string>
  find(id: string): Promise<Job | undefined>
  /** Moves a job that rests for `reason` to where `outcome` sends it. One that is unknown rests there no more. */
  wake(id: string, reason: RestReason, outcome: Outcome): Promise<'woken' | 'absent' | 'unknown'>
  /** The ids that rest for `reason` since before `ms` ago, oldest first, at most `count`. */
  resting(reason: RestReason, ms: number, count: number): Promise<string[]>
  adjust(room: string, group: string, settings: GroupSettings): Promise<void>
  /** Resolves when Redis could accept a job now. */
  probe(): Promise<void>
  /** The groups of a room that have pending jobs. */
  groups(room: string): Promise<GroupSize[]>
}

/**
 * @param write how safe a write must be before it is answered, see `durableWrites`
 * @param maxPending downloads that may be pending; 0: any number
 */
export function queueOf(
  redis: Client,
  keys: Keys,
  write: Write = (script, ...args) => redis[script](...(args as [string, never])),
  maxPending = 0,
): Queue {
  async function find(id: string): Promise<Job | undefined> {
    const [, request, state] = await redis.lookAtJob(keys.totals, id, '[]')
    return request === null && state.length === 0 ? undefined : unpackJob(id, request, state)
  }

  /** The record was lost: its entry goes, too, or it would stand before others for ever. */
  async function forget(id: string, reason: RestReason): Promise<void> {
    const there = await redis.mendJob(keys.totals, id, 'take', 'rest', reason)
    if (there === 1) await redis.mendJob(keys.totals, id, 'gone')
  }

  /** Of a group and its lanes. */
  async function countPending(room: string, group: string): Promise<number> {
    const [own, waiting] = await Promise.all([
      redis.zcard(`${room}:pending:${group}`),
      redis.hget(`${room}:waiting`, group),
    ])
    return own + Number(waiting ?? 0)
  }

  async function accept(jobs: NewJob[]): Promise<Acceptance[]> {
    const reply = (await write('addJobs', keys.room(downloadsRoom), maxPending, ...jobs.flatMap(addition))) as AddReply
    return jobs.map((_, i) => {
      const [id = '', what = ''] = reply.slice(2 * i)
      return what === 'conflict' || what === 'full' ? { refused: what } : { id }
    })
  }

  return {
    find,
    accept,

    async add(request) {
      const [accepted = { refused: 'full' }] = await accept([{ request }])
      if ('refused' in accepted) throw new Error(`the job was not accepted: ${accepted.refused}`)
      return accepted.id
    },

    async wake(id, reason, outcome) {
      const job = await find(id)
      if (!job) {
        await forget(id, reason)
        return 'unknown'
      }
      const { place, patch } = nextPlace(job, outcome)
      if (place.kind !== 'room' && place.kind !== 'gone') return 'absent'
      const [target, ...args] = moveTo(keys, keys.rest(reason), place)
      const reply = await write('moveJob', keys.rest(reason), target, id, '', place.kind, ...args, ...packPatch(patch))
      return reply === 'moved' ? 'woken' : (reply as 'absent' | 'unknown')
    },

    async resting(reason, ms, count) {
      const [seconds] = await redis.time()
      return redis.zrangebyscore(keys.rest(reason), '-inf', Number(seconds) * 1000 - ms, 'LIMIT', 0, count)
    },

    async adjust(room, group, settings) {
      await redis.adjustGroup(keys.room(room), group, JSON.stringify(withBurst(settings)))
    },

    async probe() {
      await write('touch', keys.probe)
    },

    async groups(room) {
      const sizes: GroupSize[] = []
      let cursor = '0'
      const seen = new Set<string>()
      do {
        const [next, flat] = await redis.hscan(`${keys.room(room)}:groups`, cursor, 'COUNT', 500)
        cursor = next
        const names = flat.filter((name, i) => i % 2 === 0 && !seen.has(name))
        for (const name of names) seen.add(name)
        const pending = await Promise.all(names.map((name) => countPending(keys.room(room), name)))
        names.forEach((group, i) => {
          const size = pending[i] ?? 0
          if (size > 0) sizes.push({ group, pending: size })
        })
      } while (cursor !== '0')
      return sizes.sort((a, b) => (a.group < b.group ? -1 : 1))
    },
  }
}

/** The request as packed, without its trace: who asks again does so within another span. */
function untraced(request: DownloadRequest, packed: string): string {
  return request.traceparent === undefined ? packed : packRequest({ ...request, traceparent: undefined })
}

/** What add.lua wants to know of a job. */
function addition({ request, idempotencyKey = '' }: NewJob): (string | number)[] {
  const place = firstPlace(request)
  const { group, gift = '', delayMs = 0 } = place
  const { notBeforeMs = 0, priority = 0 } = request
  const text = packRequest(request)
  const fingerprint = idempotencyKey && createHash('sha256').update(untraced(request, text)).digest('base64url')
  return [newJobId(), text, group, termsOf(place), gift, delayMs, notBeforeMs, priority, idempotencyKey, fingerprint]
}
