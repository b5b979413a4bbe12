import {
  type CallbackType,
  type DownloadRequest,
  type DownloadResult,
  type Ended,
  type Failure,
  filePath,
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

/** A start in eleven days. */
export const MIN_RATE = 0.000001

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

/** `holdMs`: the origin asked to be left alone for so long. */
interface OfOrigin {
  holdMs?: number
  verdict?: Verdict
}

/** `failure`, `ended`: of the attempt that failed, or succeeded, to be remembered. */
export type Outcome =
  | ({ kind: 'downloaded'; result: DownloadResult; storage: string; failure?: Failure; ended?: Ended } & OfOrigin)
  | ({ kind: 'download-retry'; delayMs: number; failure?: Failure } & OfOrigin)
  /** Too fast for the origin: no attempt of the job's. */
  | ({ kind: 'download-throttled'; delayMs: number; failure?: Failure } & OfOrigin)
  | { kind: 'delivered'; deletionDelayMs: number; ended?: Ended }
  | { kind: 'delivery-retry'; delayMs: number; error: string; failure?: Failure }
  | { kind: 'delivery-failed'; error: string; failure?: Failure }
  | { kind: 'retried-by-hand'; delayMs?: number }
  | { kind: 'downloaded-again'; delayMs: number }
  | { kind: 'deleted' }
  | { kind: 'deletion-retry'; delayMs: number }
  /** Nobody wants it any more. `storage`: where the worker that gave it up keeps files. */
  | { kind: 'cancelled'; storage?: string }
  /** `storage`: that of whoever asks, for a record that names none. */
  | { kind: 'expired'; storage?: string }
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

const defaultBurst = (perSecond: number): number => Math.max(1, Math.floor(perSecond / 10))

/** What is set of a group, with the burst that goes with its rate where none is given. */
export function withBurst<T extends { rate?: number | null | undefined; burst?: number | null | undefined }>(
  set: T,
): T {
  const { rate, burst = rate && defaultBurst(rate) } = set
  return { ...set, burst }
}

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
  if (job.cancelled) return nextPlace(job, { kind: 'cancelled' }).place
  if (!job.request) return deletionPlace(job, LOST_DELETION_MS)
  return job.result ? callbackPlace(job, job.result) : firstPlace(job.request)
}

/** Where `job` goes after `outcome`, and what its record remembers of it. */
export function nextPlace(job: Job, outcome: Outcome): Move {
  switch (outcome.kind) {
    case 'downloaded': {
      const { result, storage, holdMs, failure, ended } = outcome
      const place = { ...callbackPlace(job, result), ...(holdMs && { holdMs }) }
      const tags = place.kind === 'rest' && { tags: tagsOf(job, place.reason, result.errorCode) }
      const known = { ...remembered(job, failure), ...(ended && { downloaded: ended }), ...tags }
      const patch = { attempts: job.attempts + 1, result, storage, ...known }
      return { patch, place, ...verdictOf(outcome) }
    }
    case 'download-retry': {
      const { delayMs, holdMs = 0, failure } = outcome
      const patch = { attempts: job.attempts + 1, receivedBytes: 0, ...remembered(job, failure) }
      return { patch, place: { kind: 'again', delayMs, holdMs }, ...verdictOf(outcome) }
    }
    case 'download-throttled': {
      const { delayMs, holdMs = 0, failure } = outcome
      const patch = { throttles: job.throttles + 1, ...remembered(job, failure) }
      return { patch, place: { kind: 'again', delayMs, holdMs }, ...verdictOf(outcome) }
    }
    case 'delivered': {
      const { deletionDelayMs, ended } = outcome
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: '', ...(ended && { delivered: ended }) },
        place: deletionPlace(job, deletionDelayMs),
      }
    }
    case 'delivery-retry':
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: outcome.error, ...remembered(job, outcome.failure) },
        place: { kind: 'again', delayMs: outcome.delayMs },
      }
    case 'delivery-failed': {
      const { error, failure } = outcome
      const tags = tagsOf(job, 'callback-failed', failure?.code ?? '')
      return {
        patch: { deliveries: job.deliveries + 1, deliveryError: error, ...remembered(job, failure), tags },
        place: { kind: 'rest', reason: 'callback-failed' },
      }
    }
    case 'retried-by-hand': {
      const { delayMs } = outcome
      const place = job.result ? callbackPlace(job, job.result) : atRest('callback-failed')
      const later = place.kind === 'room' && delayMs !== undefined && { delayMs }
      return { patch: { deliveries: 0, deliveryError: '' }, place: { ...place, ...later } }
    }
    case 'downloaded-again': {
      const { delayMs } = outcome
      const place = job.request ? { ...firstPlace(job.request), delayMs } : atRest('failed')
      return { patch: { attempts: 0, result: null }, place }
    }
    case 'deleted': {
      const { cancelled, result } = job
      // its caller may still ask what became of it
      if (cancelled && result?.path) return cancelledAtRest(job, { ...result, path: undefined })
      return { patch: {}, place: { kind: 'gone' } }
    }
    case 'deletion-retry':
      return { patch: { deletions: job.deletions + 1 }, place: { kind: 'again', delayMs: outcome.delayMs } }
    case 'cancelled': {
      const { result = unfinished(job), storage = outcome.storage } = job
      if (!result.path || storage === undefined) return cancelledAtRest(job, result)
      const place = { ...deletionPlace({ storage }, 0), shrink: false }
      return { patch: { cancelled: true, result, storage }, place }
    }
    case 'expired': {
      const { result, storage = outcome.storage } = job
      if (job.storage !== undefined) return { patch: {}, place: deletionPlace(job, 0) }
      if (!result?.path || storage === undefined) return { patch: {}, place: { kind: 'gone' } }
      return { patch: { storage }, place: deletionPlace({ storage }, 0) }
    }
    case 'handed-back':
      return { patch: {}, place: { kind: 'back' } }
  }
}

const verdictOf = ({ verdict }: OfOrigin) => (verdict ? { verdict } : {})
const cancelledAtRest = (job: Job, result: DownloadResult): Move => ({
  patch: { cancelled: true, result, tags: tagsOf(job, 'cancelled', '') },
  place: { kind: 'rest', reason: 'cancelled' },
})

/** How a download ended that was cancelled before it did. */
function unfinished({ id, request, stalls }: Job): DownloadResult {
  return {
    success: false,
    error: 'the job was cancelled',
    errorCode: 'job.cancelled',
    responseCode: 0,
    imageSize: '',
    size: 0,
    sha256: '',
    mimeType: '',
    // A worker may have stored it and died before it could say so. What is in the caller's bucket is theirs.
    path: stalls > 0 && !request?.s3Bucket ? filePath(id, request?.subpath) : undefined,
  }
}

export const aggregationTag = (aggrId: string): string => `of:${aggrId}`
export const codeTag = (code: string): string => `code:${code}`
export const receiverTag = (receiver: string): string => `to:${receiver}`

/**
 * What a job at rest can be found by: its aggregation, the code of its failure, and the receiver that did not take its
 * callback.
 */
function tagsOf({ request, result }: Job, reason: RestReason, code: string): string[] {
  const target = request && reason === 'callback-failed' && callbackTarget(request, result?.success ?? false)
  return [
    ...(request ? [aggregationTag(request.aggrId)] : []),
    ...(code ? [codeTag(code)] : []),
    ...(target ? [receiverTag(receiverOf(target))] : []),
  ]
}

const atRest = (reason: RestReason): Place => ({ kind: 'rest', reason })

const remembered = (job: Job, failure: Failure | undefined) =>
  failure && { failures: [...job.failures, failure].slice(-MAX_FAILURES) }

function callbackPlace(job: Job, result: DownloadResult): Place {
  const target = job.request && callbackTarget(job.request, result.success)
  if (!target) return { kind: 'rest', reason: result.success ? 'done' : 'failed' }
  return { kind: 'room', room: callbacksRoom(target.type), group: receiverOf(target) }
}

function deletionPlace({ storage = '' }: Pick<Job, 'storage'>, delayMs: number): Place & { kind: 'room' } {
  return { kind: 'room', room: deletionsRoom(storage), group: storage, delayMs, shrink: true }
}
