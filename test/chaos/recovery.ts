import type { Post } from './client.ts'
import type { Injected } from './faults/fault.ts'
import type { Visit } from './visits.ts'

/** How long a process took to work again after a fault. */
export interface Recovery {
  injected: Injected
  process: string
  /** Infinity: it never did, though nothing else kept it from it. */
  ms: number
}

/**
 * From the end of each fault until each process that it had stopped did something that can be seen from outside: a
 * request to the origin, a callback, a 201. Left out where the next fault stopped the same process before.
 */
export function recoveriesOf(
  injected: readonly Injected[],
  visits: readonly Visit[],
  posts: readonly Post[],
): Recovery[] {
  const signs = (process: string, afterMs: number): number[] => [
    ...visits.filter(({ who, startMs }) => who === process && startMs > afterMs).map(({ startMs }) => startMs),
    ...posts
      .filter(({ api, id, sentMs }) => api === process && id && sentMs > afterMs)
      .map((post) => post.answeredMs ?? 0),
  ]
  return injected.flatMap((one) =>
    one.fault.stops(one.target).flatMap((process): Recovery[] => {
      const firstMs = Math.min(...signs(process, one.toMs))
      const others = injected.filter((other) => other !== one && other.fault.stops(other.target).includes(process))
      const disturbed = others.some((other) => other.fromMs < firstMs && other.toMs > one.toMs)
      return disturbed ? [] : [{ injected: one, process, ms: firstMs - one.toMs }]
    }),
  )
}
