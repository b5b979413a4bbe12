/** As in add.lua: how far a priority moves a job ahead. */
const AHEAD_MS = 1e11

/**
 * Since when a job that may start waits, by its place in the queue, which its priority has moved ahead.
 *
 * @param startsMs not above `nowMs`
 */
export const createdOf = (startsMs: number, nowMs: number): number =>
  Math.round(startsMs + Math.floor((nowMs - startsMs) / AHEAD_MS) * AHEAD_MS)
