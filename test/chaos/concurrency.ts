import type { Injected } from './faults/fault.ts'
import { LEASE_MS, READ_MS, RELEASE_MS } from './settings.ts'
import type { Visit } from './visits.ts'

/** The most that was open at once in one group. */
export interface Peak {
  group: string
  limit: number
  /** All that was open. */
  highest: number
  /** Without what no lease can hold: see `excuses`. Above the limit, a promise is broken. */
  counted: number
  /** What processes had open in the group when they were frozen, all together: the bound of the difference. */
  held: number
  /** The visits that were open when `counted` was highest. */
  at: Visit[]
}

/** What may be open beside a group's limit: the requests of a process that is frozen past its leases. */
function excuses({ fault, target, fromMs, toMs }: Injected, { who, startMs }: Visit, atMs: number): boolean {
  if (!fault.freezes) return false
  const held = who === target && startMs <= fromMs + READ_MS
  return held && fromMs + LEASE_MS / 2 <= atMs && atMs <= toMs + RELEASE_MS
}

const openAt = ({ startMs, endMs = Number.POSITIVE_INFINITY }: Visit, atMs: number) => startMs <= atMs && atMs < endMs

/** @param limits group → how many may be open */
export function peaksOf(
  visits: readonly Visit[],
  limits: Readonly<Record<string, number>>,
  injected: readonly Injected[],
): Peak[] {
  return Object.entries(limits).map(([group, limit]) => {
    const own = visits.filter((visit) => visit.group === group)
    const frozen = injected.filter(({ fault }) => fault.freezes)
    const held = frozen.flatMap(({ target, fromMs }) => {
      return own.filter((visit) => visit.who === target && openAt(visit, fromMs + READ_MS))
    })
    const peak: Peak = { group, limit, highest: 0, counted: 0, held: new Set(held).size, at: [] }
    // It can only have become more when one began, or when an excuse was over.
    const over = frozen.map(({ toMs }) => toMs + RELEASE_MS + 1)
    for (const atMs of [...own.map(({ startMs }) => startMs), ...over]) {
      const open = own.filter((visit) => openAt(visit, atMs))
      const counted = open.filter((visit) => !injected.some((one) => excuses(one, visit, atMs)))
      peak.highest = Math.max(peak.highest, open.length)
      if (counted.length <= peak.counted) continue
      peak.counted = counted.length
      peak.at = counted
    }
    return peak
  })
}
