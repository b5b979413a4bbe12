import type { Snapshot } from '../support/queue-invariants.ts'
import type { Post } from './client.ts'
import { type Peak, peaksOf } from './concurrency.ts'
import type { Injected } from './faults/fault.ts'
import type { Files } from './files.ts'
import { gapsOf, mayRepeat, underWay, within } from './forgetting.ts'
import { contentOf, planOf, sha256Of } from './plan.ts'
import type { Delivery } from './receivers.ts'
import type { Recording } from './recorder-process.ts'
import { type Recovery, recoveriesOf } from './recovery.ts'
import { AGGREGATIONS, RECEIVER_LIMIT, RECEIVERS, RECOVERY_MS } from './settings.ts'
import { storyOf } from './story.ts'

/** All that was seen from outside, and what Redis and the disk held at the end. */
export interface Evidence {
  seed: string
  posts: readonly Post[]
  recording: Recording
  injected: readonly Injected[]
  /** When another master was named. */
  changesMs: readonly number[]
  /** Whether jobs were accepted only once replicas had them. */
  waited: boolean
  snapshot: Snapshot
  files: Files
  /** Names of temporary files that were left. */
  temporary: string[]
  /** Whether the files of delivered jobs must be gone. */
  deleted: boolean
  /** What went wrong beside: processes that ended, books that do not agree. */
  mishaps: readonly string[]
}

export interface Account {
  /** Jobs of which the client, or else Redis or a receiver, says that they were accepted. */
  accepted: number
  /** POSTs without an answer that says so; the second number is those of them that were accepted. */
  unknown: [all: number, accepted: number]
  lost: number
  /** Jobs that were accepted when Redis may forget: the most that may be lost. */
  mayBeLost: number
  /** Callbacks that were accepted by the receiver more than once. */
  twice: number
  /** Callbacks in flight at faults that may repeat them. */
  inFlight: number
  peaks: Peak[]
  partial: number
  temporary: number
  /** The longest, ms; undefined without faults. */
  recoveryMs: number | undefined
  /** A line or more for each promise that was broken. */
  broken: string[]
}

/** Compares what was promised with what happened. */
export function accountOf(evidence: Evidence): Account {
  const { seed, posts, recording, injected, snapshot, files } = evidence
  const { visits, deliveries } = recording
  const broken: string[] = [...evidence.mishaps]
  const story = (n: number) => storyOf(evidence, n)

  const numbers = numbersOf(evidence)
  const accepted = new Map<string, DeliveriesOf>()
  for (const [id, n] of numbers) accepted.set(id, { n, deliveries: [] })
  for (const delivery of deliveries) if (delivery.accepted) accepted.get(delivery.jobId)?.deliveries.push(delivery)
  const unknown = posts.filter(({ id }) => id === undefined)
  const known = new Set([...accepted.values()].map(({ n }) => n))

  // Lost, or called back, or where it should be.
  const gaps = gapsOf(injected, evidence.changesMs, evidence.waited)
  const mayBeLost = posts.filter(({ id, answeredMs = 0 }) => id && gaps.some((gap) => within(gap, answeredMs)))
  let lost = 0
  for (const [id, { n, deliveries }] of accepted) {
    if (deliveries.length > 0) continue
    const place = placeOf(snapshot, id)
    if (place === 'rest callback-failed' && planOf(seed, n).receiver === 'dead') continue
    if (place === undefined) {
      lost++
      if (mayBeLost.some((post) => post.n === n)) continue
    }
    broken.push(`${id} was accepted and not called back; it is ${place ?? 'nowhere: lost'}\n${story(n)}`)
  }

  // What the callbacks say.
  for (const { visit, jobId, success, errorCode, error, size, sha256 } of deliveries) {
    const plan = planOf(seed, visit.n)
    if (success !== plan.success) {
      broken.push(`${jobId} ended with ${errorCode} ${error}, which its origin did not say\n${story(visit.n)}`)
    } else if (success && (size !== plan.size || sha256 !== sha256Of(contentOf(plan)))) {
      broken.push(`${jobId} was reported with another content\n${story(visit.n)}`)
    }
  }

  // Called back more than once.
  const changes = gapsOf([], evidence.changesMs, false)
  const explained = (delivery: Delivery) =>
    injected.some((one) => mayRepeat(one, delivery)) || changes.some((gap) => underWay(delivery.visit, gap))
  let twice = 0
  for (const [id, { n, deliveries }] of accepted) {
    twice += Math.max(0, deliveries.length - 1)
    if (deliveries.slice(0, -1).every(explained)) continue
    broken.push(`${id} was called back ${deliveries.length} times, without a fault that explains it\n${story(n)}`)
  }
  const inFlight = deliveries.filter((delivery) => delivery.accepted && explained(delivery)).length
  if (twice > inFlight) broken.push(`${twice} callbacks came again, and only ${inFlight} were in flight at the faults`)

  // Limits.
  const limits = { ...AGGREGATIONS, ...Object.fromEntries(RECEIVERS.map((name) => [name, RECEIVER_LIMIT])) }
  const peaks = peaksOf(visits, limits, injected)
  for (const { group, limit, highest, counted, held, at } of peaks) {
    if (highest - counted > held) broken.push(`${group} had ${highest - counted} more open than frozen processes held`)
    if (counted <= limit) continue
    const open = at.map((visit) => `  open: ${visit.n} by ${visit.who}\n${story(visit.n)}`)
    broken.push(`${group} had ${counted} open, its limit is ${limit}\n${open.join('\n')}`)
  }

  // Files.
  const { partial, strays } = files
  for (const file of [...partial, ...strays]) broken.push(`${file} is not what it should be`)
  for (const [id, { n, deliveries }] of accepted) {
    const succeeded = deliveries.some(({ success }) => success)
    const there = files.ids.has(id)
    if (succeeded && !evidence.deleted && !there) broken.push(`${id} was called back, and has no file\n${story(n)}`)
    if (succeeded && evidence.deleted && there) broken.push(`the file of ${id} was not deleted\n${story(n)}`)
  }
  for (const name of evidence.temporary) broken.push(`the temporary file ${name} was left`)

  // Time to work again.
  const recoveries = recoveriesOf(injected, visits, posts)
  for (const recovery of recoveries) if (recovery.ms > RECOVERY_MS) broken.push(late(recovery))

  return {
    accepted: accepted.size,
    unknown: [unknown.length, unknown.filter(({ n }) => known.has(n)).length],
    lost,
    mayBeLost: mayBeLost.length,
    twice,
    inFlight,
    peaks,
    partial: partial.length + strays.length,
    temporary: evidence.temporary.length,
    recoveryMs: recoveries.length > 0 ? Math.max(...recoveries.map(({ ms }) => ms)) : undefined,
    broken,
  }
}

interface DeliveriesOf {
  n: number
  /** That were accepted. */
  deliveries: Delivery[]
}

/** Id → number of every job that somebody says was accepted: the client, a receiver, or Redis. */
export function numbersOf({ posts, recording, snapshot }: Pick<Evidence, 'posts' | 'recording' | 'snapshot'>) {
  const numbers = new Map<string, number>()
  for (const { n, id } of posts) if (id) numbers.set(id, n)
  for (const { jobId, visit } of recording.deliveries) numbers.set(jobId, visit.n)
  for (const [id, request] of snapshot.requests) {
    const { e: extra } = JSON.parse(request) as { e?: string } // src/jobs/record.ts
    numbers.set(id, Number(extra))
  }
  return numbers
}

/** Where Redis has a job; undefined: nowhere. */
function placeOf({ rest, rooms }: Snapshot, id: string): string | undefined {
  for (const [reason, ids] of rest) if (ids.has(id)) return `rest ${reason}`
  for (const [name, { pending, claims }] of rooms) {
    if (claims.has(id)) return `claimed in ${name}`
    for (const ids of pending.values()) if (ids.has(id)) return `pending in ${name}`
  }
  return undefined
}

const late = ({ injected: { fault, target }, process, ms }: Recovery): string =>
  ms === Number.POSITIVE_INFINITY
    ? `${process} did nothing any more after ${fault.name} of ${target}`
    : `${process} worked again only ${Math.round(ms)} ms after ${fault.name} of ${target}`
