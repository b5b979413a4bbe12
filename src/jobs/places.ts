import type { CallbackType, DownloadRequest, DownloadResult, Job } from './job.ts'
import type { Patch } from './record.ts'

/**
 *                        downloaded                    delivered
 *   downloads ──────────────────────▶ callbacks:<type> ─────────▶ deletions:<storage> ──▶ gone
 *    ▲     │ retry, handed back         ▲  │  │ failed              ▲   ▲   │ retry
 *    └─────┘                            │  └──┼── retry             │   └───┘
 *          │ downloaded, no callback    │     ▼                     │
 *          └──────▶ rest: done | failed │  rest: callback-failed    │
 *                        │              └─────┘ retried by hand     │
 *                        └──────────────────────────────────────────┘ expired (rest_ttl_days)
 */
export type RestReason = 'done' | 'failed' | 'callback-failed' | 'cancelled'
export const restReasons: readonly RestReason[] = ['done', 'failed', 'callback-failed', 'cancelled']

/** Where a job goes next; the queue carries it out and knows nothing of why. */
export type Place = {
  /** Of the group that the job leaves, or only of its host there, if there is a verdict: it starts nothing for so long. */
  holdMs?: number
} & (
  | {
      kind: 'room'
      room: string
      group: string
      /** What the group's first job gives it: its limit (0: the room's own holds) and a text for its workers. */
      limit?: number
      /** Of the group: so many starts a second, and so many of them at once. */
      rate?: Rate | undefined
      gift?: string
      delayMs?: number
      /** Drops the request from the record. */
      shrink?: boolean
    }
  /** This room and group, later. */
  | { kind: 'again'; delayMs: number }
  /** This room and group, at its old place: nothing happened. */
  | { kind: 'back' }
  | { kind: 'rest'; reason: RestReason }
  | { kind: 'gone' }
)

export interface Rate {
  perSecond: number
  burst: number
}

/** What an attempt says of the host that it asked. Nothing is said where somebody else may be to blame. */
export interface Verdict {
  host: string
  /** `throttled`: it was asked too fast. `down`: it did not answer, or is broken. */
  says: 'ok' | 'throttled' | 'down' | ''
}

/** `holdMs`: the origin asked to be left alone for so long, by the whole aggregation. */
interface OfOrigin {
  holdMs?: number
  verdict?: Verdict
}

export type Outcome =
  | ({ kind: 'downloaded'; result: DownloadResult; storage: string } & OfOrigin)
  | ({ kind: 'download-retry'; delayMs: number } & OfOrigin)
  /** Too fast for the origin: no attempt of the job's. */
  | ({ kind: 'download-throttled'; delayMs: number } & OfOrigin)
  | { kind: 'delivered'; deletionDelayMs: number }
  | { kind: 'delivery-retry'; delayMs: number; error: string }
  | { kind: 'delivery-failed'; error: string }
  | { kind: 'retried-by-hand' }
  | { kind: 'deleted' }
  | { kind: 'deletion-retry'; delayMs: number }
  | { kind: 'expired' }
  | { kind: 'handed-back' }

export interface Move {
  place: Place
  patch: Patch
  verdict?: Verdict
}

export const downloadsRoom = 'downloads'
export const callbacksRoom = (type: CallbackType): string => `callbacks:${type}`
export const deletionsRoom = (storage: string): string => `deletions:${storage}`
/** The storage whose deletions a room has; undefined for any other room. */
export const storageOf = (room: string): string | undefined => /^deletions:(.*)$/s.exec(room)?.[1]

/** Where a new job begins. */
export function firstPlace(request: DownloadRequest): Place & { kind: 'room' } {
  return {
    kind: 'room',
    room: downloadsRoom,
    group: request.aggrId,
    limit: request.aggrLimit,
    ...rateOf(request),
    gift: request.aggrProxy ?? '',
  }
}

/** Without a burst it is a tenth of a second's worth: evenly spread, and yet as many as the rate says. */
function rateOf({ aggrRate, aggrBurst }: DownloadRequest): { rate?: Rate } {
  if (aggrRate === undefined) return {}
  return { rate: { perSecond: aggrRate, burst: aggrBurst ?? defaultBurst(aggrRate) } }
}

export const defaultBurst = (perSecond: number): number => Math.max(1, Math.floor(perSecond / 10))

/** A group's limit and rate as the queue notes them. */
export function termsOf({ limit = 0, rate }: { limit?: number; rate?: Rate | undefined }): string {
  return rate ? `${limit}@${rate.perSecond}/${rate.burst}` : String(limit)
}

/** Where the outcome of a download is reported, if anywhere. */
export function callbackTarget(
  request: DownloadRequest,
  success: boolean,
): { type: CallbackType; destination: string } | undefined {
  if (!success && request.callbackErrorDst) {
    const type = request.callbackErrorType ?? request.callbackType
    if (type) return { type, destination: request.callbackErrorDst }
  }
  if (!request.callbackType || !request.callbackDst) return undefined
  return { type: request.callbackType, destination: request.callbackDst }
}

/**
 * The group of a callback: scheme, host and port of an HTTP receiver, a Kafka topic, host and path of an SQS queue.
 * It is part of keys and logs, so credentials and queries are no part of it.
 */
export function receiverOf({ type, destination }: { type: CallbackType; destination: string }): string {
  if (type === 'kafka') return destination
  const text = type === 'sqs' && !destination.includes('://') ? `https://${destination}` : destination
  if (!URL.canParse(text)) return '(not a URL)' // the API takes none; should one be here, its backend refuses it for good
  const { protocol, host, hostname, port, pathname } = new URL(text)
  if (type === 'sqs') return host + pathname
  return `${protocol}//${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`
}

/** A room and a group of it. */
export interface Spot {
  room: string
  group: string
}

/** Wherever in a room a job can be in its life, whatever becomes of it. */
export function everySpot(request: DownloadRequest | undefined, storages: string[]): Spot[] {
  const spots = storages.map((storage) => ({ room: deletionsRoom(storage), group: storage }))
  if (!request) return spots
  spots.push({ room: downloadsRoom, group: request.aggrId })
  for (const success of [true, false]) {
    const target = callbackTarget(request, success)
    if (target) spots.push({ room: callbacksRoom(target.type), group: receiverOf(target) })
  }
  return spots
}

/** Nobody knows any more when the file of a job that was lost on its way to deletion may go. */
const LOST_DELETION_MS = 24 * 60 * 60 * 1000

/** Where a job goes on that was found in no place at all, as far as its record tells. */
export function placeOfLost(job: Job): Place {
  if (!job.request) return deletionPlace(job, LOST_DELETION_MS)
  return job.result ? callbackPlace(job, job.result) : firstPlace(job.request)
}

/** Where `job` goes after `outcome`, and what its record remembers of it. */
export function nextPlace(job: Job, outcome: Outcome): Move {
  switch (outcome.kind) {
    case 'downloaded': {
      const { result, storage, holdMs } = outcome
      const patch = { attempts: job.attempts + 1, result, storage }
      return { patch, place: { ...callbackPlace(job, result), ...(holdMs && { holdMs }) }, ...verdictOf(outcome) }
    }
    case 'download-retry': {
      const { delayMs, holdMs = 0 } = outcome
      return {
        patch: { attempts: job.attempts + 1 },
        place: { kind: 'again', delayMs, holdMs },
        ...verdictOf(outcome),
      }
    }
    case 'download-throttled': {
      const { delayMs, holdMs = 0 } = outcome
      return {
        patch: { throttles: job.throttles + 1 },
        place: { kind: 'again', delayMs, holdMs },
        ...verdictOf(outcome),
      }
    }
    case 'delivered': {
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: '' },
        place: deletionPlace(job, outcome.deletionDelayMs),
      }
    }
    case 'delivery-retry':
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: outcome.error },
        place: { kind: 'again', delayMs: outcome.delayMs },
      }
    case 'delivery-failed':
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: outcome.error },
        place: { kind: 'rest', reason: 'callback-failed' },
      }
    case 'retried-by-hand':
      return {
        patch: { deliveries: 0, deliveryError: '' },
        place: job.result ? callbackPlace(job, job.result) : { kind: 'rest', reason: 'callback-failed' },
      }
    case 'deleted':
      return { patch: {}, place: { kind: 'gone' } }
    case 'deletion-retry':
      return { patch: { deletions: job.deletions + 1 }, place: { kind: 'again', delayMs: outcome.delayMs } }
    case 'expired':
      return { patch: {}, place: deletionPlace(job, 0) }
    case 'handed-back':
      return { patch: {}, place: { kind: 'back' } }
  }
}

const verdictOf = ({ verdict }: OfOrigin) => (verdict ? { verdict } : {})

function callbackPlace(job: Job, result: DownloadResult): Place {
  const target = job.request && callbackTarget(job.request, result.success)
  if (!target) return { kind: 'rest', reason: result.success ? 'done' : 'failed' }
  return { kind: 'room', room: callbacksRoom(target.type), group: receiverOf(target) }
}

function deletionPlace({ storage = '' }: Job, delayMs: number): Place {
  return { kind: 'room', room: deletionsRoom(storage), group: storage, delayMs, shrink: true }
}
