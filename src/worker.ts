import { setMaxListeners } from 'node:events'
import { alarm } from './alarm.ts'
import { pause } from './deadline.ts'
import { eventOf, type JobEvent } from './jobs/event.ts'
import { nextPlace, type Outcome } from './jobs/places.ts'
import { HandBack, type Lease, LeaseLost, type Leases, leasesOf } from './leases.ts'
import type { Log } from './log.ts'
import type { WorkerMetrics } from './metrics/worker-metrics.ts'
import type { Claim, Room } from './queue/room.ts'

export interface WorkerOptions {
  /** Rooms of one kind of work; they share `concurrency`. */
  rooms: Room[]
  /**
   * Does the job of one claim. Must settle down soon after the lease's signal aborts, rejecting with its reason.
   * Anything else it rejects with is a bug: logged, and the job goes back until its stalls are used up.
   */
  run(lease: Lease): Promise<Outcome>
  /** Jobs at once in this process. */
  concurrency: number
  /** How long a stop waits for what runs before it is handed back. */
  graceMs: number
  /** False while no job may be started (the disk is full); asked every second. */
  mayClaim?: () => boolean
  /** Told what happens to jobs. */
  tell?: (event: JobEvent) => void
  /** Told how many jobs were claimed, and which leases were lost. */
  metrics?: WorkerMetrics
  log: Log
}

interface Counter {
  room: Room
  leases: Leases
  /** What runs, by job. */
  tasks: Map<string, Promise<void>>
  /** When this room is to be asked again, by `performance.now()`. */
  askAt: number
  /** Claims that the next call tells Redis to count no more. */
  leaving: Claim[]
}

/** Nobody sleeps longer: what a missed message announced, and expired leases, are found by then. */
const MAX_IDLE_MS = 5000
const GATE_MS = 1000
/** After the grace, what was aborted gets this long to let go and be handed back; then as long to give Redis up. */
const LET_GO_MS = 2000
const RETIRE_MS = 500

/**
 * The one loop that processor and notifier run: claim, run, settle, and sleep until something may be due. When `stop`
 * aborts it claims no more, finishes what runs or hands it back after `graceMs`, and resolves.
 */
export async function work(options: WorkerOptions, stop: AbortSignal): Promise<void> {
  const { concurrency, graceMs, mayClaim = () => true, tell = () => {}, log } = options
  const running = new Set<Promise<void>>()
  const bell = alarm()
  const abandon = new AbortController() // ends what still talks to Redis when even the grace is over
  setMaxListeners(0, abandon.signal) // every settle listens
  const counters: Counter[] = options.rooms.map((room) => ({
    room,
    leases: leasesOf(room, log, options.metrics?.lost),
    tasks: new Map(),
    askAt: 0,
    leaving: [],
  }))
  for (const counter of counters) {
    counter.room.onBell(() => {
      counter.askAt = 0
      bell.ring()
    })
  }
  const onStop = () => bell.ring()
  stop.addEventListener('abort', onStop, { once: true })

  while (!stop.aborted) {
    if (!mayClaim()) {
      await bell.sleep(GATE_MS)
      continue
    }
    for (const counter of [...counters]) {
      const wanted = running.size < concurrency || counter.leaving.length > 0
      if (wanted && counter.askAt <= performance.now() && !stop.aborted) await claimFrom(counter)
    }
    const next = Math.min(...counters.map(({ askAt }) => askAt)) - performance.now()
    await bell.sleep(running.size < concurrency ? Math.max(0, next) : MAX_IDLE_MS)
  }
  stop.removeEventListener('abort', onStop)

  const done = new AbortController()
  void Promise.all(running).then(() => done.abort())
  await pause(graceMs, done.signal)
  for (const { leases } of counters) leases.handBack()
  await pause(LET_GO_MS, done.signal)
  abandon.abort(new HandBack('this process stops'))
  await pause(LET_GO_MS, done.signal)
  if (running.size > 0) log.error({ jobs: running.size }, 'jobs do not stop: their leases will run out')
  for (const { leases } of counters) leases.close()
  const late = new AbortController()
  const retired = Promise.all(counters.map(({ room }) => room.retire())).catch(() => {})
  await Promise.race([retired, pause(RETIRE_MS, late.signal)])
  late.abort()

  async function claimFrom(counter: Counter): Promise<void> {
    const { room, leases } = counter
    const wanted = concurrency - running.size
    const leaving = counter.leaving.splice(0)
    counter.askAt = performance.now() + MAX_IDLE_MS // a bell that rings from here on brings it forward
    try {
      const { claims, leaseEnd, idleMs } = await room.claim(wanted, stop, leaving)
      if (claims.length > 0) options.metrics?.claimed(room.name, claims.length)
      if (claims.length === wanted) counter.askAt = 0
      else if (idleMs >= 0) counter.askAt = Math.min(counter.askAt, performance.now() + idleMs)
      if (claims.length > 0) counters.push(...counters.splice(counters.indexOf(counter), 1)) // the others come first now
      for (const claim of claims) {
        let left = false
        const leave = () => {
          if (left) return
          left = true
          counter.leaving.push(claim)
          counter.askAt = 0
          bell.ring()
        }
        const lease = leases.hold(claim, leaseEnd, leave)
        const { id } = claim.job
        const task = runOne(counter, lease, counter.tasks.get(id)).finally(() => {
          running.delete(task)
          if (counter.tasks.get(id) === task) counter.tasks.delete(id)
          bell.ring()
        })
        running.add(task)
        counter.tasks.set(id, task)
      }
    } catch (error) {
      if (stop.aborted) return
      log.error({ room: room.name, err: error }, 'claiming failed')
      counter.askAt = performance.now() + 1000
    }
  }

  async function outcomeOf(lease: Lease): Promise<Outcome> {
    if (stop.aborted) return { kind: 'handed-back' } // claimed by a call that was under way
    lease.confirm() // Redis may have answered late: then the lease is over before the work began
    try {
      return await options.run(lease)
    } catch (error) {
      if (error instanceof HandBack) return { kind: 'handed-back' }
      throw error
    }
  }

  /** @param before the same job, claimed by a call that Redis has forgotten; its lease was taken from it */
  async function runOne(counter: Counter, lease: Lease, before: Promise<void> | undefined): Promise<void> {
    const { room, leases } = counter
    const { claim } = lease
    const where = { id: claim.job.id, room: room.name, group: claim.group }
    try {
      await before
      tell({ ...where, event: 'started' })
      const outcome = await outcomeOf(lease).finally(() => leases.drop(lease)) // from here on only the token counts
      const move = nextPlace(claim.job, outcome)
      const reply = await room.settle(claim, move, abandon.signal)
      if (reply === 'settled') tell({ ...where, ...eventOf(outcome) })
      // When it is due again is known here, whether the bell is heard or not.
      const { place } = move
      if (place.kind === 'again') counter.askAt = Math.min(counter.askAt, performance.now() + place.delayMs)
    } catch (error) {
      if (error instanceof LeaseLost || error instanceof HandBack) return
      log.error({ room: room.name, job_id: claim.job.id, err: error }, 'a job was dropped by a bug')
    }
  }
}
