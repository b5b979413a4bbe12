import type { Fault } from './faults/fault.ts'
import { randomOf } from './random.ts'

/** A fault to come. */
export interface Planned {
  /** ms after the beginning of the scenario's faults */
  atMs: number
  forMs: number
  /** One after the other in each. */
  lane: number
  fault: Fault
  target: string
}

const FIRST_MS = 300
const LATER_MS = 250

/**
 * Which faults come when, and to whom: a pure function of its arguments.
 *
 * @param durationMs what begins within it is over by then; but every fault comes at least once, however short it is
 * @param lanes how many faults there may be at once, on different targets
 */
export function scheduleOf(seed: string, faults: readonly Fault[], durationMs: number, lanes = 1): Planned[] {
  const random = randomOf(`${seed} schedule`)
  const planned: Planned[] = []
  if (faults.length === 0) return planned
  const free = Array.from({ length: lanes }, () => FIRST_MS) // when each lane may begin its next
  for (let round = 0; ; round++) {
    for (const fault of random.shuffled(faults)) {
      const lane = free.indexOf(Math.min(...free))
      const forMs = random.between(...fault.forMs)
      let atMs = (free[lane] ?? 0) + random.between(0, 400)
      while (idle(planned, fault, atMs, forMs).length === 0) atMs += LATER_MS
      if (round > 0 && atMs + forMs > durationMs) return planned.sort((a, b) => a.atMs - b.atMs)
      const target = seldom(planned, fault, random.shuffled(idle(planned, fault, atMs, forMs)))
      const next = { atMs, forMs, lane, fault, target }
      planned.push(next)
      free[lane] = quietAt(next)
    }
  }
}

/** Targets of the fault that have no other one then: one at a time, and the rest that each needs. */
function idle(planned: readonly Planned[], fault: Fault, atMs: number, forMs: number): string[] {
  const toMs = quietAt({ atMs, forMs, fault })
  const busy = planned.filter((other) => {
    return atMs < quietAt(other) && other.atMs < toMs
  })
  return fault.targets.filter((target) => busy.every((other) => other.target !== target))
}

/** That of the targets to which the fault has come least often. */
function seldom(planned: readonly Planned[], fault: Fault, targets: readonly string[]): string {
  const times = (target: string) => planned.filter((one) => one.fault === fault && one.target === target).length
  return [...targets].sort((a, b) => times(a) - times(b))[0] ?? ''
}

/** When it is over, about, with the rest that follows. */
const quietAt = ({ atMs, forMs, fault: { takesMs = 0, restMs } }: Pick<Planned, 'atMs' | 'forMs' | 'fault'>): number =>
  atMs + forMs + takesMs + restMs
