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

/** A job that was accepted. */
interface Accepted {
  id: string
  n: number
  /** Those that a receiver accepted. */
  deliveries: Delivery[]
}

/** What the parts of the account are made from, and where they say what is wrong. */
interface Books {
  evidence: Evidence
  jobs: readonly Accepted[]
  /** With the story of job `n`. */
  complain(text: string, n: number): void
}

/** Compares what was promised with what happened. */
export function accountOf(evidence: Evidence): Account {
  const { posts, recording, injected, files, temporary } = evidence
  const broken = [...evidence.mishaps]
  const jobs = jobsOf(evidence)
  const complain = (text: string, n: number) => void broken.push(`${text}\n${storyOf(evidence, n)}`)
  const books: Books = { evidence, jobs, complain }

  const known = new Set(jobs.map(({ n }) => n))
  const unknown = posts.filter(({ id }) => id === undefined)
  const recoveries = recoveriesOf(injected, recording.visits, posts)
  checkCallbacks(books)
  checkFiles(books)
  for (const file of [...files.partial, ...files.strays]) broken.push(`${file} is not what it should be`)
  for (const name of temporary) broken.push(`the temporary file ${name} was left`)
  for (const recovery of recoveries) if (recovery.ms > RECOVERY_MS) broken.push(late(recovery))
  return {
    accepted: jobs.length,
    unknown: [unknown.length, unknown.filter(({ n }) => known.has(n)).length],
    ...losses(books, known),
    ...repetitions(books),
    peaks: peaks(books),
    partial: files.partial.length + files.strays.length,
    temporary: temporary.length,
    recoveryMs: recoveries.length > 0 ? Math.max(...recoveries.map(({ ms }) => ms)) : undefined,
    broken,
  }
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

function jobsOf(evidence: Evidence): Accepted[] {
  const byId = new Map([...numbersOf(evidence)].map(([id, n]): [string, Accepted] => [id, { id, n, deliveries: [] }]))
  for (const delivery of evidence.recording.deliveries) {
    if (delivery.accepted) byId.get(delivery.jobId)?.deliveries.push(delivery)
  }
  return [...byId.values()]
}

/** Every job is called back, or rests because its receiver never answers. */
function losses({ evidence, jobs, complain }: Books, known: ReadonlySet<number>) {
  const { seed, posts, recording, injected, changesMs, waited, snapshot } = evidence
  const gaps = gapsOf(injected, changesMs, waited)
  const inGap = posts.filter(({ id, answeredMs = 0 }) => id && gaps.some((gap) => within(gap, answeredMs)))
  const mayBeLost = new Set(inGap.map(({ n }) => n))
  let lost = 0
  for (const { id, n, deliveries } of jobs) {
    if (deliveries.length > 0) continue
    const place = placeOf(snapshot, id)
    if (place === 'rest callback-failed' && planOf(seed, n).receiver === 'dead') continue
    if (place === undefined) lost++
    if (place === undefined && mayBeLost.has(n)) continue
    complain(`${id} was accepted and not called back; it is ${place ?? 'nowhere: lost'}`, n)
  }
  // Nobody was told that these were accepted; but what has begun must not be forgotten either.
  const begun = new Set(recording.visits.map(({ n }) => n).filter((n) => !known.has(n)))
  if (gaps.length === 0) for (const n of begun) complain('a job was run and forgotten', n)
  return { lost, mayBeLost: mayBeLost.size }
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

/** Callbacks tell of what the origin did. */
function checkCallbacks({ evidence: { seed, recording }, complain }: Books): void {
  for (const { visit, jobId, success, errorCode, error, size, sha256 } of recording.deliveries) {
    const plan = planOf(seed, visit.n)
    if (success !== plan.success) {
      complain(`${jobId} ended with "${errorCode}" ${error}, which its origin did not say`, visit.n)
    } else if (success && (size !== plan.size || sha256 !== sha256Of(contentOf(plan)))) {
      complain(`${jobId} was reported with another content`, visit.n)
    }
  }
}

/** A callback comes again only where a fault came before Redis knew of it. */
function repetitions({ evidence: { recording, injected, changesMs }, jobs, complain }: Books) {
  const changes = gapsOf([], changesMs, false)
  const explained = (delivery: Delivery) =>
    injected.some((one) => mayRepeat(one, delivery)) || changes.some((gap) => underWay(delivery.visit, gap))
  let twice = 0
  for (const { id, n, deliveries } of jobs) {
    twice += Math.max(0, deliveries.length - 1)
    if (deliveries.slice(0, -1).every(explained)) continue
    complain(`${id} was called back ${deliveries.length} times, without a fault that explains it`, n)
  }
  return { twice, inFlight: recording.deliveries.filter((one) => one.accepted && explained(one)).length }
}

/** No group has more open than its limit, and what frozen processes hold. */
function peaks({ evidence: { recording, injected }, complain }: Books): Peak[] {
  const limits = { ...AGGREGATIONS, ...Object.fromEntries(RECEIVERS.map((name) => [name, RECEIVER_LIMIT])) }
  const peaks = peaksOf(recording.visits, limits, injected)
  for (const { group, limit, highest, counted, held, at } of peaks) {
    const [first] = at
    if (first === undefined) continue
    if (highest - counted > held) {
      complain(`${group} had ${highest - counted} more open than frozen processes held`, first.n)
    }
    if (counted > limit) {
      complain(`${group} had ${counted} open, its limit is ${limit}: ${at.map(({ n }) => n).join(', ')}`, first.n)
      for (const { n } of at.slice(1)) complain(`  open was also ${n}`, n)
    }
  }
  return peaks
}

/** The file of a delivered job is there, or, where it is to be deleted, is not. */
function checkFiles({ evidence: { files, deleted }, jobs, complain }: Books): void {
  for (const { id, n, deliveries } of jobs) {
    if (!deliveries.some(({ success }) => success) || files.ids.has(id) === !deleted) continue
    complain(deleted ? `the file of ${id} was not deleted` : `${id} was called back, and has no file`, n)
  }
}

const late = ({ injected: { fault, target }, process, ms }: Recovery): string =>
  ms === Number.POSITIVE_INFINITY
    ? `${process} did nothing any more after ${fault.name} of ${target}`
    : `${process} worked again only ${Math.round(ms)} ms after ${fault.name} of ${target}`
