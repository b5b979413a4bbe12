import { deletionsRoom, downloadsRoom, storageOf } from './places.ts'

/** What decides when a pending job starts. Times are ms since the epoch, by Redis's clock. */
export interface Waiting {
  nowMs: number
  room: string
  group: string
  /** When the job itself may start. */
  startsMs: number
  /** Jobs of its group that stand before it. */
  ahead: number
  pending: number
  /** Jobs that count against the group's limit now, and the ids of some of them. */
  running: number
  runningJobs: string[]
  limit: number
  paused: boolean
  /** Before this the group starts nothing: an origin's or a receiver's `Retry-After`. 0: no such thing. */
  heldUntilMs: number
  /** The group's position among those that can run now, from 0; -1: it is not among them. */
  linePosition: number
  /** After a failover: before this the room gives nothing away. 0: no such thing. */
  closedUntilMs: number
  /** Workers of the room that called lately. */
  workers: number
  /** Attempts at this step that failed, and how many may be tried again in all. */
  retry: { failed: number; of: number }
  /** When the caller wants it not to start before, if so. */
  notBeforeMs: number
}

/** Why a job waits: one word, and a sentence for people. */
export interface Reason {
  code: ReasonCode
  text: string
}

export type ReasonCode = (typeof reasonCodes)[number]

/** In this order a cause hides those after it: the first that holds is the main one. */
const causes = {
  no_worker({ workers, room }) {
    if (workers > 0) return undefined
    return `no ${workerOf(room)} has asked for work lately: none runs, or its disk is nearly full`
  },
  room_closed({ closedUntilMs, nowMs }) {
    if (closedUntilMs <= nowMs) return undefined
    return `Redis was restarted or replaced: nothing starts ${until(closedUntilMs, nowMs)}, so that no limit is passed`
  },
  paused({ paused, room }) {
    return paused ? `its ${groupOf(room)} is paused` : undefined
  },
  not_before({ notBeforeMs, startsMs, nowMs, retry }) {
    const wanted = notBeforeMs > nowMs && startsMs >= notBeforeMs && retry.failed === 0
    return wanted ? `it must not start ${until(notBeforeMs, nowMs)}` : undefined
  },
  retry_later({ startsMs, nowMs, retry }) {
    if (startsMs <= nowMs || retry.failed === 0) return undefined
    return `it failed, and retry ${retry.failed} of ${retry.of} starts ${at(startsMs, nowMs)}`
  },
  scheduled({ startsMs, nowMs, room, retry, notBeforeMs }) {
    if (startsMs <= nowMs || retry.failed > 0 || notBeforeMs > nowMs) return undefined
    const file = storageOf(room) !== undefined
    return `${file ? 'its file is kept: it is deleted' : 'it starts'} ${at(startsMs, nowMs)}`
  },
  held({ heldUntilMs, nowMs, room }) {
    if (heldUntilMs <= nowMs) return undefined
    return `its ${groupOf(room)} was asked to wait (Retry-After): nothing of it starts ${until(heldUntilMs, nowMs)}`
  },
  // What slows a group (a rate) or an origin (a host's breaker) belongs here: after what holds, before what is full.
  full({ running, limit, ahead, room }) {
    if (running < limit) return undefined
    const others = ahead === 0 ? 'it is the next' : `${count(ahead, 'job')} before it`
    return `its ${groupOf(room)} runs ${running} of at most ${limit} at once; ${others}`
  },
  behind({ ahead, room }) {
    return ahead === 0 ? undefined : `${count(ahead, 'job')} of its ${groupOf(room)} before it`
  },
  worker_busy({ linePosition, room, workers }) {
    const others = linePosition > 0 ? `; ${count(linePosition, 'other group')} before its own` : ''
    return `it is next, as soon as one of ${count(workers, workerOf(room))} has a place for it${others}`
  },
} satisfies Record<string, (waiting: Waiting) => string | undefined>

export const reasonCodes = Object.keys(causes) as (keyof typeof causes)[]

/** Every cause that holds, the main one first; never none. */
export function reasonsOf(waiting: Waiting): [Reason, ...Reason[]] {
  const found = reasonCodes.flatMap((code): Reason[] => {
    const text = causes[code](waiting)
    return text === undefined ? [] : [{ code, text }]
  })
  // the last one always holds, and says nothing beside another
  return (found.length > 1 ? found.slice(0, -1) : found) as [Reason, ...Reason[]]
}

const workerOf = (room: string) =>
  room === downloadsRoom || room.startsWith(deletionsRoom('')) ? 'processor' : 'notifier'
const groupOf = (room: string) => {
  if (room === downloadsRoom) return 'aggregation'
  return storageOf(room) === undefined ? 'receiver' : 'storage'
}
const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`
const seconds = (ms: number) => `${Math.max(1, Math.round(ms / 1000))} s`
const at = (ms: number, nowMs: number) => `in ${seconds(ms - nowMs)}`
const until = (ms: number, nowMs: number) => `for ${seconds(ms - nowMs)}`
