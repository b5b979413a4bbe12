import { createHash } from 'node:crypto'

/** Numbers that look random and are the same for the same seed, on every machine. */
export interface Random {
  /** From 0 up to, not including, 1. */
  next(): number
  /** A whole number, both ends included. */
  between(from: number, to: number): number
  pick<T>(list: readonly T[]): T
  /** One of the keys, as often as its weight says. */
  weighted<T extends string>(weights: Record<T, number>): T
  shuffled<T>(list: readonly T[]): T[]
}

/** @param seed any text; what begins alike has nothing in common */
export function randomOf(seed: string): Random {
  let state = createHash('sha256').update(seed).digest().readUInt32LE()

  // mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c
  function next(): number {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  const between = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  const pick = <T>(list: readonly T[]): T => {
    if (list.length === 0) throw new RangeError('nothing to pick from')
    return list[between(0, list.length - 1)] as T
  }
  return {
    next,
    between,
    pick,
    weighted<T extends string>(weights: Record<T, number>): T {
      const all = Object.entries(weights) as [T, number][]
      let left = next() * all.reduce((sum, [, weight]) => sum + weight, 0)
      for (const [name, weight] of all) {
        left -= weight
        if (left < 0) return name
      }
      return pick(all)[0]
    },
    shuffled<T>(list: readonly T[]): T[] {
      const keyed = list.map((item) => ({ item, key: next() }))
      return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
    },
  }
}
