import { pause } from './deadline.ts'
import type { Log } from './log.ts'
import type { Claim, Room } from './queue/room.ts'

/** A claim that this process holds, and how it learns that it does not any more. */
export interface Lease {
  readonly claim: Claim
  /** Aborts with `LeaseLost`, with `Cancelled`, or with `HandBack` when the process stops. */
  readonly signal: AbortSignal
  /** Throws `LeaseLost` when the job may be somebody else's: to be asked right before anything that cannot be undone. */
  confirm(): void
  /** The job needs its place in the group no more: the next one of the group may start. The lease stays. */
  leave(): void
  /**
   * Waits until the rates of the group and of its host allow one more request of this job.
   *
   * @throws the signal's reason
   */
  turn(signal: AbortSignal): Promise<void>
  /** So many decoded bytes have come so far: whoever looks at the job is told, about three times a lease. */
  progress(bytes: number): void
}

/** The job may be somebody else's by now: stop, and touch nothing. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost'
}

/** Nobody wants the job any more: stop, and settle it as cancelled. */
export class Cancelled extends Error {
  override readonly name = 'Cancelled'
}

/** This process stops and the job is not done: put it back as if nothing had happened. */
export class HandBack extends Error {
  override readonly name = 'HandBack'
}

/** Why a claim was let go before its attempt had ended; undefined when `error` is none of these reasons. */
export function whyLetGo(error: unknown): 'lease_lost' | 'handed_back' | 'cancelled' | undefined {
  if (error instanceof LeaseLost) return 'lease_lost'
  if (error instanceof HandBack) return 'handed_back'
  return error instanceof Cancelled ? 'cancelled' : undefined
}

interface Held extends Lease {
  readonly controller: AbortController
  /** By this process's monotonic clock; always earlier than the end of the lease by Redis's. */
  heldUntil: number
  receivedBytes: number
  /** As Redis knows it. */
  toldBytes: number
}

/**
 * Keeps the leases of a room's claims: one call extends them all, a third of a lease apart. Whoever could not be
 * extended in time is told to stop before Redis may give the job to somebody else.
 */
export function leasesOf(room: Room, log: Log, onLost: (room: string) => void = () => {}) {
  const held = new Map<string, Held>() // by job
  const marginMs = Math.max(room.leaseMs / 10, Math.min(200, room.leaseMs / 2))
  let extending = false

  async function extend() {
    const now = performance.now()
    for (const lease of held.values()) if (now > lease.heldUntil) lose(lease)
    if (extending || held.size === 0) return
    extending = true
    try {
      const asked = [...held.values()]
      // The lease counts from when Redis runs the script, which is never before it was asked to.
      const askedAt = performance.now()
      const news = asked.map((lease) => (lease.receivedBytes === lease.toldBytes ? undefined : lease.receivedBytes))
      const reply = await room.extend(asked.map(({ claim }, i) => ({ claim, receivedBytes: news[i] })))
      const lost = new Set(reply.lost)
      for (const id of reply.cancelled) cancel(id)
      for (const [i, lease] of asked.entries()) {
        lease.toldBytes = news[i] ?? lease.toldBytes
        if (lost.has(lease.claim.job.id)) {
          if (holds(lease)) lose(lease)
        } else lease.heldUntil = Math.max(lease.heldUntil, askedAt + room.leaseMs - marginMs)
      }
    } catch (error) {
      log.debug({ room: room.name, error: String(error) }, 'could not extend leases')
    } finally {
      extending = false
    }
  }

  function cancel(id: string) {
    held.get(id)?.controller.abort(new Cancelled('the job was cancelled'))
  }

  const holds = (lease: Lease) => held.get(lease.claim.job.id) === lease

  function lose(lease: Held) {
    if (holds(lease)) held.delete(lease.claim.job.id)
    log.warn({ room: room.name, job_id: lease.claim.job.id }, 'lost a lease')
    onLost(room.name)
    lease.controller.abort(new LeaseLost(`the lease of ${lease.claim.job.id} could not be kept`))
  }

  // Looked at more often than extended: a process that was frozen finds out soon after it goes on.
  const tickMs = Math.max(room.leaseMs / 12, 10)
  let ticks = 0
  const timer = setInterval(() => {
    const now = performance.now()
    for (const lease of held.values()) if (now > lease.heldUntil) lose(lease)
    if (++ticks % 4 === 0) void extend()
  }, tickMs)
  // A Redis that came back, or another in its place, may have forgotten claims: it must hear of them at once, for it
  // gives nothing away before.
  room.onReturn(() => void extend())
  room.onCancel(cancel)

  return {
    /** @param leaseEnd by `performance.now()` */
    hold(claim: Claim, leaseEnd: number, leave = () => {}): Lease {
      const controller = new AbortController()
      const lease: Held = {
        claim,
        controller,
        leave,
        signal: controller.signal,
        heldUntil: leaseEnd - marginMs,
        receivedBytes: 0,
        toldBytes: 0,
        async turn(signal) {
          await pause(await room.turn(claim, signal), signal)
          signal.throwIfAborted()
        },
        progress(bytes) {
          lease.receivedBytes = bytes
        },
        confirm() {
          controller.signal.throwIfAborted()
          if (performance.now() <= lease.heldUntil) return
          lose(lease)
          controller.signal.throwIfAborted()
        },
      }
      const forgotten = held.get(claim.job.id)
      if (forgotten) lose(forgotten) // or the job would not have been claimed again
      held.set(claim.job.id, lease)
      return lease
    },
    drop(lease: Lease) {
      if (holds(lease)) held.delete(lease.claim.job.id)
    },
    /** Tells everything that still runs to give up and hand its job back. */
    handBack() {
      for (const lease of held.values()) lease.controller.abort(new HandBack('this process stops'))
    },
    close() {
      clearInterval(timer)
    },
  }
}

export type Leases = ReturnType<typeof leasesOf>
