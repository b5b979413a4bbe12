import { hostOf } from '../jobs/host.ts'
import type { Job } from '../jobs/job.ts'
import {
  callbackTarget,
  downloadsRoom,
  everySpot,
  nextPlace,
  type RestReason,
  restReasons,
  type Spot,
  storageOf,
} from '../jobs/places.ts'
import { packPatch, unpackJob } from '../jobs/record.ts'
import type { Whereabouts } from '../jobs/state.ts'
import type { WaitedHost, Waiting } from '../jobs/why.ts'
import { parseEntry } from './entry.ts'
import { instancesOf } from './instances.ts'
import { type Keys, laneOf, laneParts, pendingIn } from './keys.ts'
import { moveTo } from './move.ts'
import type { GroupSettings, Queue } from './queue.ts'
import { recordsOf } from './records.ts'
import { type Client, RedisUnavailable } from './redis.ts'
import type { HostReply } from './scripts.ts'

/** A job, and where it was at that moment. */
export interface Sighting {
  job: Job
  where: Whereabouts
  nowMs: number
}

/**
 * What cancelling did: `cancelling`: whoever works on it was told to stop; `expired`: it was over, and its record and its
 * file are being deleted; `awaited`: nothing, for something is still to be done with it.
 */
export type Cancellation = 'cancelled' | 'cancelling' | 'expired' | 'awaited'

/** What only the workers' configuration says. */
export interface Horizons {
  /** A worker that did not call for so long counts no more. */
  silentMs: number
  /** Retries where a job does not say how many. */
  downloadRetries: number
  deliveryRetries: number
}

/** A job that moves while it is looked for is looked for again, as often. */
const LOOKS = 4
const RUNNING_NAMED = 20

/** Single jobs, as those see them who ask about them. */
export function jobsOf(redis: Client, keys: Keys, queue: Pick<Queue, 'wake'>) {
  const processors = instancesOf(redis, keys, 'processor')

  async function diskFull(): Promise<number> {
    return (await processors.all()).filter(({ disk_full }) => disk_full).length
  }

  async function look(id: string): Promise<Sighting | undefined> {
    let spots: Spot[] = [] // what rests is found without; where else a job can be is told by its record
    for (let looks = 0; looks <= LOOKS; looks++) {
      const asked = JSON.stringify(spots.map(({ room, group }) => [room, group]))
      const reply = await redis.lookAtJob(keys.totals, id, asked, ...restReasons)
      const [nowMs, request, state, kind, name = '', group = '', at = '0'] = reply
      if (request === null && state.length === 0) return undefined
      const job = unpackJob(id, request, state)
      const where = whereaboutsOf(kind, { room: name, group }, Number(at))
      if (where) return { job, where, nowMs }
      spots = [...everySpot(job.request, job.storage === undefined ? [] : [job.storage]), ...laneSpots(job)]
    }
    return undefined
  }

  /** Undefined when it was somewhere else by then. */
  async function cancelHere({ job, where, nowMs }: Sighting): Promise<Cancellation | undefined> {
    if (where.kind === 'rest') {
      if (where.reason === 'cancelled') return 'cancelled'
      const reply = await queue.wake(job.id, where.reason, { kind: 'expired' })
      return reply === 'woken' ? 'expired' : undefined
    }
    const room = keys.room(where.room)
    if (storageOf(where.room) !== undefined) {
      if (where.kind === 'pending' && where.startsMs > nowMs) {
        const [target, ...args] = moveTo(keys, room, { kind: 'room', room: where.room, group: where.group })
        if ((await redis.moveJob(room, target, job.id, pendingIn(where), 'room', ...args)) !== 'moved') return undefined
      }
      return job.cancelled ? 'cancelled' : 'expired'
    }
    if (where.kind === 'claimed') return (await redis.cancelClaim(room, job.id)) === 1 ? 'cancelling' : undefined
    const { place, patch } = nextPlace(job, { kind: 'cancelled' })
    if (place.kind !== 'room' && place.kind !== 'rest') throw new Error(`cancelling leads to ${place.kind}`)
    const [target, ...args] = moveTo(keys, room, place)
    const reply = await redis.moveJob(room, target, job.id, pendingIn(where), place.kind, ...args, ...packPatch(patch))
    return reply === 'moved' ? 'cancelled' : undefined
  }

  return {
    /**
     * Cancels a job: what is pending at once, what runs soon. What is over is deleted with its file: what rests, and what was
     * delivered, also before its time.
     *
     * @param overOnly leaves alone what somebody still waits for: a download, or a callback, also one that failed
     */
    async cancel(id: string, overOnly = false): Promise<Cancellation | 'unknown'> {
      for (let looks = 1; looks <= LOOKS; looks++) {
        const sighting = await look(id)
        if (!sighting) return 'unknown'
        if (overOnly && !isOver(sighting.where)) return 'awaited'
        const cancellation = await cancelHere(sighting)
        if (cancellation) return cancellation
      }
      throw new RedisUnavailable(`job ${id} moves faster than it can be cancelled`)
    },

    /**
     * Cancels jobs that were pending in a group, or there in the lane of a host.
     *
     * @returns how many were
     */
    async cancelIn({ room, group, host }: Spot & { host?: string | undefined }, ids: string[]): Promise<number> {
      const where = { kind: 'pending', room, group, host, startsMs: 0 } as const
      const found = await recordsOf(
        redis,
        keys,
        ids.map((id) => [id, where]),
      )
      const replies = await Promise.all(found.map((listed) => cancelHere({ ...listed, nowMs: 0 })))
      return replies.filter((reply) => reply === 'cancelled').length
    },

    /** Undefined when there is no such job. */
    look,

    /** What decides when a pending job starts; undefined when it has moved, if only to another time. */
    async why({ job, where }: Sighting, horizons: Horizons): Promise<Waiting | undefined> {
      if (where.kind !== 'pending') return undefined
      const { room, group, host = '' } = where
      const facts = await redis.whyWaiting(keys.room(room), job.id, group, host, horizons.silentMs, RUNNING_NAMED)
      if (!facts || Number(facts[1]) !== where.startsMs) return undefined // its record would tell of another attempt
      const [
        nowMs,
        startsMs,
        ahead,
        pending,
        running,
        operator,
        brought,
        roomLimit,
        heldUntil,
        line,
        opens,
        workers,
        ids,
        pacedUntilMs,
        ofHost,
      ] = facts
      const set = JSON.parse(operator) as GroupSettings
      const own = parseEntry(brought)
      return {
        nowMs,
        room,
        group,
        startsMs: Number(startsMs),
        ahead,
        pending,
        running,
        runningJobs: ids,
        limit: set.limit ?? (own.limit || Number(roomLimit)),
        rate: set.rate ?? own.rate,
        paused: set.paused ?? false,
        heldUntilMs: Number(heldUntil),
        pacedUntilMs,
        host: ofHost.length === 0 ? undefined : hostWaitedFor(host, ofHost),
        linePosition: line,
        closedUntilMs: Number(opens),
        workers,
        diskFull: workers === 0 && room === downloadsRoom ? await diskFull() : 0,
        throttles: job.throttles,
        retry: retryOf(job, where, horizons),
        notBeforeMs: job.request?.notBeforeMs ?? 0,
      }
    },
  }
}

export type Jobs = ReturnType<typeof jobsOf>

/** Where a job waits when its host is slowed. */
function laneSpots({ request }: Job): Spot[] {
  const host = request ? hostOf(request.url) : ''
  return request && host ? [{ room: downloadsRoom, group: laneOf(request.aggrId, host) }] : []
}

const hostWaitedFor = (name: string, facts: HostReply): WaitedHost => {
  const [heldUntilMs, opensMs, fromMs, rate, running, limit] = facts
  return { name, heldUntilMs, opensMs, fromMs: fromMs < 0 ? undefined : fromMs, rate: Number(rate), running, limit }
}

function whereaboutsOf(kind: string | undefined, spot: Spot, at: number): Whereabouts | undefined {
  const { room } = spot
  const [group, host] = laneParts(spot.group)
  if (kind === 'pending') return { kind, room, group, host, startsMs: at }
  if (kind === 'claimed') return { kind, room, group, leaseEndsMs: at }
  if (kind === 'rest') return { kind, reason: room as RestReason, sinceMs: at }
  return undefined
}

/** Whether nothing is left to do with a job but to delete its file. */
function isOver(where: Whereabouts): boolean {
  return where.kind === 'rest' ? where.reason !== 'callback-failed' : storageOf(where.room) !== undefined
}

function retryOf(job: Job, { room }: Spot, { downloadRetries, deliveryRetries }: Horizons): Waiting['retry'] {
  if (room === downloadsRoom) return { failed: job.attempts, of: job.request?.maxRetries ?? downloadRetries }
  const calledBack = job.request && callbackTarget(job.request, job.result?.success ?? false)
  return calledBack ? { failed: job.deliveries, of: deliveryRetries } : { failed: 0, of: 0 }
}
