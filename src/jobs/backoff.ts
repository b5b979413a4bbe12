/** ±10 %, so that what failed together does not return together. */
const jittered = (ms: number, random: () => number): number => Math.round(ms * (0.9 + 0.2 * random()))

const HOUR_MS = 3_600_000
/** A wait that no configuration or origin can exceed. */
const DAY_MS = 24 * HOUR_MS

/** Delay before retry `n` (1-based) of a download: n × `backoffMs`. */
export function downloadRetryDelayMs(n: number, backoffMs: number, random = Math.random): number {
  return Math.min(jittered(n * backoffMs, random), DAY_MS)
}

/** Delay of a download that was throttled for the `n`th (1-based) time: from 1 s, doubling, at most a minute. */
export function throttleDelayMs(n: number, random = Math.random): number {
  return Math.min(jittered(1000 * 2 ** Math.min(n - 1, 6), random), 60_000)
}

/** Delay before retry `n` (1-based) of a callback: doubles each time. */
export function deliveryRetryDelayMs(n: number, backoffMs: number, random = Math.random): number {
  return Math.min(jittered(backoffMs * 2 ** Math.min(n - 1, 30), random), DAY_MS)
}

/** Delay before retry `n` (1-based) of a deletion, which never gives up: from 10 s, doubling, at most hourly. */
export function deletionRetryDelayMs(n: number, random = Math.random): number {
  return Math.min(jittered(10_000 * 2 ** Math.min(n - 1, 30), random), HOUR_MS)
}
