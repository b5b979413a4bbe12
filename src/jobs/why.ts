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
  /** Jobs that the group begins per second, at most. */
  rate: number | undefined
  paused: boolean
  /** Before this the group starts nothing: an origin's or a receiver's `Retry-After`. 0: no such thing. */
  heldUntilMs: number
  /** Before this the group's rate lets nothing start. */
  pacedUntilMs: number
  /** For which it waits; undefined when it waits for none, or when nobody has noticed yet. */
  host: WaitedHost | undefined
  /** The group's position among those that can run now, from 0; -1: it is not among them. */
  linePosition: number
  /** After a failover: before this the room gives nothing away. 0: no such thing. */
  closedUntilMs: number
  /** Workers of the room that called lately. */
  workers: number
  /** Processors that live and begin nothing, for their disk is nearly full; counted where no worker called. */
  diskFull: number
  /** How often the origin found it too fast, which is no attempt. */
  throttles: number
  /** Attempts at this step that failed, and how many may be tried again in all. */
  retry: { failed: number; of: number }
  /** When the caller wants it not to start before, if so. */
  notBeforeMs: number
}

/** An origin that is slowed, see docs/politeness.md. */
export interface WaitedHost {
  /** With its port, where the URL has one. */
  name: string
  /** It asked for this in this group (`Retry-After`). */
  heldUntilMs: number
  /** Its circuit breaker is open until then, and half-open from then on; 0: it is closed. */
  opensMs: number
  /** When the next request may begin; undefined while another one must end before. */
  fromMs: number | undefined
  /** Requests a second that it is asked for now; 0: as many as there are. */
  rate: number
  /** Requests under way, and how many there may be; counted only while there is a limit, 0: there is none. */
  running: number
  limit: number
}

/** Why a job waits: one word, and a sentence for people. */
export interface Reason {
  code: ReasonCode
  text: string
}

export type ReasonCode = (typeof reasonCodes)[number]

/** In this order a cause hides those after it: the first that holds is the main one. */
const causes = {
  disk_full({ workers, diskFull }) {
    if (workers > 0 || diskFull === 0) return undefined
    return `the disk of ${count(diskFull, 'processor')} is nearly full: no download begins until there is room`
  },
  no_worker({ workers, room }) {
    return workers > 0 ? undefined : `no ${workerOf(room)} has asked for work lately: none runs`
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
  throttled({ startsMs, nowMs, retry, throttles }) {
    if (startsMs <= nowMs || throttles === 0 || retry.failed > 0) return undefined
    return `its origin took no more requests, and it is tried again ${at(startsMs, nowMs)}`
  },
  retry_later({ startsMs, nowMs, retry }) {
    if (startsMs <= nowMs || retry.failed === 0) return undefined
    return `it failed, and retry ${retry.failed} of ${retry.of} starts ${at(startsMs, nowMs)}`
  },
  scheduled({ startsMs, nowMs, room, retry, throttles, notBeforeMs }) {
    if (startsMs <= nowMs || retry.failed > 0 || throttles > 0 || notBeforeMs > nowMs) return undefined
    const file = storageOf(room) !== undefined
    return `${file ? 'its file is kept: it is deleted' : 'it starts'} ${at(startsMs, nowMs)}`
  },
  held({ heldUntilMs, nowMs, room }) {
    if (heldUntilMs <= nowMs) return undefined
    return `its ${groupOf(room)} was asked to wait (Retry-After): nothing of it starts ${until(heldUntilMs, nowMs)}`
  },
  host_held({ host, nowMs }) {
    if (!host || host.heldUntilMs <= nowMs) return undefined
    return `${host.name} asked to be left alone (Retry-After): this aggregation asks it nothing ${until(host.heldUntilMs, nowMs)}`
  },
  host_down({ host, nowMs }) {
    if (!host || host.opensMs === 0) return undefined
    const tried =
      host.opensMs > nowMs ? `it is tried again ${at(host.opensMs, nowMs)}` : 'one job tries whether it is back'
    return `${host.name} is down, as the last attempts found: ${tried}`
  },
  host_full({ host, ahead }) {
    if (!host || host.limit === 0 || host.running < host.limit) return undefined
    return `${host.name} is asked for ${host.running} of at most ${host.limit} files at once; ${othersBefore(ahead)}`
  },
  rate({ rate, pacedUntilMs, nowMs, ahead }) {
    if (rate === undefined || pacedUntilMs <= nowMs) return undefined
    return `its aggregation begins ${rate} a second, and the next one ${at(pacedUntilMs, nowMs)}; ${othersBefore(ahead)}`
  },
  host_slow({ host, ahead }) {
    if (!host || host.rate === 0) return undefined
    return `${host.name} takes about ${host.rate.toPrecision(2)} requests a second, as its refusals taught; ${othersBefore(ahead)}`
  },
  full({ running, limit, ahead, room }) {
    if (running < limit) return undefined
    return `its ${groupOf(room)} runs ${running} of at most ${limit} at once; ${othersBefore(ahead)}`
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
const othersBefore = (ahead: number) => (ahead === 0 ? 'it is the next' : `${count(ahead, 'job')} before it`)
const at = (ms: number, nowMs: number) => `in ${duration(ms - nowMs)}`
const until = (ms: number, nowMs: number) => `for ${duration(ms - nowMs)}`

/** In the largest unit of which there are two at least. */
function duration(ms: number): string {
  for (const [unit, size] of [['days', 86_400_000] as const, ['h', 3_600_000] as const, ['min', 60_000] as const]) {
    if (ms >= 2 * size) return `${Math.round(ms / size)} ${unit}`
  }
  return `${Math.max(1, Math.round(ms / 1000))} s`
}
