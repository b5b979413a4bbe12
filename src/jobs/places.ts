import {
  type CallbackType,
  type DownloadRequest,
  type DownloadResult,
  type Failure,
  type Job,
  MAX_FAILURES,
} from './job.ts'
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
  /** Of the group that the job leaves: it starts nothing for so long. */
  holdMs?: number
} & (
  | {
      kind: 'room'
      room: string
      group: string
      /** What the group's first job gives it: its limit (0: the room's own holds) and a text for its workers. */
      limit?: number
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

/**
 * `holdMs`: the origin asked to be left alone for so long, by the whole aggregation. `failure`: of the attempt that ended,
 * to be remembered.
 */
export type Outcome =
  | { kind: 'downloaded'; result: DownloadResult; storage: string; holdMs?: number; failure?: Failure }
  | { kind: 'download-retry'; delayMs: number; holdMs?: number; failure?: Failure }
  | { kind: 'delivered'; deletionDelayMs: number }
  | { kind: 'delivery-retry'; delayMs: number; error: string; failure?: Failure }
  | { kind: 'delivery-failed'; error: string; failure?: Failure }
  | { kind: 'retried-by-hand' }
  | { kind: 'deleted' }
  | { kind: 'deletion-retry'; delayMs: number }
  | { kind: 'expired' }
  | { kind: 'handed-back' }

export interface Move {
  place: Place
  patch: Patch
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
    gift: request.aggrProxy ?? '',
  }
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
      const { result, storage, holdMs, failure } = outcome
      const patch = { attempts: job.attempts + 1, result, storage, ...remembered(job, failure) }
      return { patch, place: { ...callbackPlace(job, result), ...(holdMs && { holdMs }) } }
    }
    case 'download-retry': {
      const { delayMs, holdMs = 0, failure } = outcome
      const patch = { attempts: job.attempts + 1, receivedBytes: 0, ...remembered(job, failure) }
      return { patch, place: { kind: 'again', delayMs, holdMs } }
    }
    case 'delivered': {
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: '' },
        place: deletionPlace(job, outcome.deletionDelayMs),
      }
    }
    case 'delivery-retry':
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: outcome.error, ...remembered(job, outcome.failure) },
        place: { kind: 'again', delayMs: outcome.delayMs },
      }
    case 'delivery-failed':
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: outcome.error, ...remembered(job, outcome.failure) },
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

const remembered = (job: Job, failure: Failure | undefined) =>
  failure && { failures: [...job.failures, failure].slice(-MAX_FAILURES) }

function callbackPlace(job: Job, result: DownloadResult): Place {
  const target = job.request && callbackTarget(job.request, result.success)
  if (!target) return { kind: 'rest', reason: result.success ? 'done' : 'failed' }
  return { kind: 'room', room: callbacksRoom(target.type), group: receiverOf(target) }
}

function deletionPlace({ storage = '' }: Job, delayMs: number): Place {
  return { kind: 'room', room: deletionsRoom(storage), group: storage, delayMs, shrink: true }
}
