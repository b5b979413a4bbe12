/** Numbers that the same seed repeats. */
export interface Random {
  /** From 0 on, below 1. */
  next(): number
  /** A whole number from `min` to `max`. */
  int(min: number, max: number): number
  pick<T>(items: readonly T[]): T
}

/** mulberry32: small, and good enough to spread faults. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const int = (min: number, max: number) => min + Math.floor(next() * (max - min + 1))
  return { next, int, pick: (items) => items[int(0, items.length - 1)] as (typeof items)[number] }
}
