import type { Injected } from './faults/fault.ts'
import type { Delivery } from './receivers.ts'
import { FAILOVER_MS, READ_MS } from './settings.ts'

/** A time of which Redis may not know any more. By `nowMs`. */
export interface Gap {
  fromMs: number
  toMs: number
}

/**
 * @param changesMs when another master was named
 * @param waited whether jobs are accepted only once replicas have them: then none of them may be forgotten
 */
export function gapsOf(injected: readonly Injected[], changesMs: readonly number[], waited: boolean): Gap[] {
  if (waited) return []
  const faults = injected.flatMap(({ fault: { forgetsMs }, fromMs, toMs }) => {
    return forgetsMs === undefined ? [] : [{ fromMs: fromMs - forgetsMs, toMs }]
  })
  return [...faults, ...changesMs.map((toMs) => ({ fromMs: toMs - FAILOVER_MS, toMs }))]
}

export const within = ({ fromMs, toMs }: Gap, atMs: number): boolean => fromMs <= atMs && atMs <= toMs

/** How long a delivery takes until Redis knows of it, at most, where nothing is in its way. */
const SETTLE_MS = 250

/** Whether the fault came while the delivery was under way, or before Redis knew of it for good. */
export function mayRepeat({ fault, target, fromMs, toMs }: Injected, { visit }: Delivery): boolean {
  const { who } = visit
  if (!fault.repeats(target) || (target !== 'redis' && target !== who)) return false
  const lastMs = fault.stopsAtOnce ? fromMs : toMs // what begins later is not hurt
  return underWay(visit, { fromMs: fromMs - (fault.forgetsMs ?? 0), toMs: lastMs })
}

/** Whether a delivery fell into the gap, or Redis was told of it then. */
export function underWay({ startMs, endMs = Number.POSITIVE_INFINITY }: Delivery['visit'], gap: Gap): boolean {
  return startMs <= gap.toMs + READ_MS && gap.fromMs <= endMs + SETTLE_MS
}
