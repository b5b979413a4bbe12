import { randomBytes } from 'node:crypto'
import type { Job } from '../jobs/job.ts'
import type { Move } from '../jobs/places.ts'
import { packPatch, unpackJob } from '../jobs/record.ts'
import type { Log } from '../log.ts'
import type { Keys } from './keys.ts'
import { moveTo } from './move.ts'
import { type Client, persistently } from './redis.ts'

/** A job that a worker holds until it settles it or its lease runs out. */
export interface Claim {
  job: Job
  /** Fencing token: only its holder can extend or settle. */
  token: string
  group: string
  /** What the group's first job gave its workers: an aggregation's proxy, or `""`. */
  gift: string
  /** The host that the job asks, where it wants to be told also that all is well; `""` else. */
  watched: string
}

export interface Claims {
  claims: Claim[]
  /** When their leases end, by `performance.now()`: never later than by Redis's clock. */
  leaseEnd: number
  /** ms until something may be due; -1 when nothing is known to come. */
  idleMs: number
}

/** A claim to be held longer, and how far it got, when there is news. */
export interface Extension {
  claim: Pick<Claim, 'token'> & { job: Pick<Job, 'id'> }
  receivedBytes?: number | undefined
}

export interface Room {
  readonly name: string
  readonly leaseMs: number
  /**
   * Claims up to `count` jobs. Waits while Redis is away; rejects only for a bug, or when `signal` aborts.
   *
   * @param leaving claims that count against their group's limit no more from now on
   */
  claim(count: number, signal: AbortSignal, leaving?: Claim[]): Promise<Claims>
  /** Extends the leases of claims; resolves to the ids of those that somebody else may have by now, or nobody wants. */
  extend(extensions: Iterable<Extension>): Promise<{ lost: string[]; cancelled: string[] }>
  /** Ends a claim. `lost`: the job is somebody else's, and nothing was changed. */
  settle(claim: Claim, move: Move, signal: AbortSignal): Promise<'settled' | 'lost' | 'gone'>
  /** Takes the next start that the rates allow, for one more request of a claim; resolves to the ms until then. */
  turn(claim: Claim, signal: AbortSignal): Promise<number>
  /** This worker stops: it holds nothing, and nobody needs to wait for it after a failover. */
  retire(): Promise<void>
  /** Calls back whenever a job may have become claimable. */
  onBell(listener: () => void): void
  /** Calls back with the id of a job that nobody wants any more, at once; a missed one shows when leases are extended. */
  onCancel(listener: (id: string) => void): void
  /** Calls back when Redis is there again, or another in its place: it may have forgotten the last claims. */
  onReturn(listener: () => void): void
}

export interface RoomOptions {
  name: string
  leaseMs: number
  /** Limit of groups whose jobs bring none; 0 where all do. */
  groupLimit: number
  /** Requests at once to a host, from all groups; 0: no limit. */
  hostLimit?: number
}

/**
 * One room, as its workers see it.
 *
 * @param subscriber a connection of its own, on which the room listens for its bell
 */
export function roomOf(redis: Client, subscriber: Client, keys: Keys, options: RoomOptions, log: Log): Room {
  const { name, leaseMs, groupLimit, hostLimit = 0 } = options
  const key = keys.room(name)
  const channel = `${key}:bell`
  const worker = randomBytes(6).toString('base64url')
  let calls = 0
  let seen = 0 // so that a server that has lost claims can be told
  let readyAt = 0
  redis.on('ready', () => {
    readyAt = performance.now()
  })

  return {
    name,
    leaseMs,

    async claim(count, signal, leaving = []) {
      const call = (calls++).toString(36)
      const args = [worker, call, count, leaseMs, groupLimit, seen, hostLimit, ...pairsOf(leaving)]
      let askedAt = 0
      const ask = () => {
        askedAt = performance.now()
        return redis.claimJobs(key, ...args)
      }
      const [standsMs, idleMs, seq, ...rows] = await persistently(ask, signal, log)
      seen = Math.max(seen, seq)
      // Redis may have been away since we asked. But what is answered ran on the connection that there is now.
      const leaseEnd = Math.max(askedAt, readyAt) + standsMs
      const claims = rows.map(([id, token, group, gift, request, state, watched]) => {
        return { job: unpackJob(id, request, state), token, group, gift, watched }
      })
      return { claims, leaseEnd, idleMs }
    },

    async extend(extensions) {
      const args = [...extensions].flatMap(({ claim, receivedBytes = '' }) => [
        claim.job.id,
        claim.token,
        receivedBytes,
      ])
      if (args.length === 0) return { lost: [], cancelled: [] }
      const [lost, cancelled] = await redis.extendLeases(key, leaseMs, worker, seen, ...args)
      return { lost, cancelled }
    },

    turn({ job, token }, signal) {
      return persistently(() => redis.takeTurn(key, job.id, token), signal, log)
    },

    async retire() {
      await redis.zrem(`${key}:workers`, worker)
    },

    async settle({ job, token, watched }, { place, patch, verdict }, signal) {
      const [target, ...args] = settlement(key, keys, place)
      // of a host that nobody watches it need not be said that it is well
      const told = place.holdMs || (verdict?.says === 'ok' ? watched : verdict?.says)
      const news = verdict && told ? verdict : { host: '', says: '' }
      const about = [place.holdMs ?? 0, news.host, news.says]
      const all = [job.id, token, place.kind, ...about, ...args, ...packPatch(patch)]
      const reply = await persistently(() => redis.settleClaim(key, target, ...all), signal, log)
      const [settled, event] = reply.split(' ')
      if (event && event in EVENTS) log.warn({ room: name, host: news.host }, EVENTS[event as keyof typeof EVENTS])
      return settled as 'settled' | 'lost' | 'gone'
    },

    onReturn(listener) {
      redis.on('ready', listener)
      redis.on('refresh', listener) // a Cluster's connection stays ready while its masters change
    },

    onCancel(listener) {
      subscriber.on('message', (from: string, message: string) => {
        const [word, id] = message.split(' ')
        if (from === channel && word === 'cancel' && id) listener(id)
      })
    },

    onBell(listener) {
      // What was published while nobody listened is made up for: ring as soon as the subscription stands.
      const listen = () => {
        subscriber.subscribe(channel).then(listener, (error: unknown) => {
          log.warn({ error: String(error), channel }, 'cannot listen for new jobs: falling back to looking for them')
        })
      }
      subscriber.on('message', (from: string, message: string) => {
        if (from === channel && message === '') listener()
      })
      subscriber.on('ready', listen)
      if (subscriber.status === 'ready') listen()
    },
  }
}

/** What has become of a host, as settle.lua tells it. */
const EVENTS = {
  slowed: 'a host refuses what is too fast for it: slowing down',
  opened: 'a host is down: its jobs wait until it answers again',
  closed: 'a host that was down answers again',
}

const pairsOf = (claims: Claim[]) => claims.flatMap(({ job, token }) => [job.id, token])

/** The second key of settle.lua, and the arguments that its kind of move takes. */
function settlement(room: string, keys: Keys, place: Move['place']): [target: string, ...(string | number)[]] {
  if (place.kind === 'again') return [room, place.delayMs]
  return place.kind === 'back' ? [room] : moveTo(keys, room, place)
}
