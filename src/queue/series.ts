import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

/** What is counted over time; `max_wait_ms` is the highest. */
export const counterNames = [
  'downloaded',
  'failed',
  'retried',
  'bytes',
  'delivered',
  'callbacks_failed',
  'callbacks_retried',
  'starts',
  'wait_ms',
  'max_wait_ms',
] as const
export type CounterName = (typeof counterNames)[number]

export interface FailureCount {
  step: 'download' | 'callback'
  code: string
  /** Origin of a download, receiver of a callback; empty where too many failed to be told apart. */
  host: string
  count: number
}

/** What one process counted since it wrote last. */
export interface Tallied {
  counters: Partial<Record<CounterName, number>>
  failures: FailureCount[]
}

export interface Point {
  atMs: number
  values: Partial<Record<CounterName | 'pending' | 'callbacks_pending', number>>
}

export type Span = 'hour' | 'day'

const POINTS: Record<Span, { stepMs: number; count: number }> = {
  hour: { stepMs: 60_000, count: 60 },
  day: { stepMs: 600_000, count: 144 },
}
const FAILURES_MS = 600_000

/** What happened in the last hour and day, in bounded space. Figures for people: a repeated write counts twice. */
export function seriesOf(redis: Client, keys: Keys) {
  return {
    async write({ counters, failures }: Tallied): Promise<void> {
      const named = Object.entries(counters)
      const failed = failures.flatMap(({ step, code, host, count }) => [`${step.charAt(0)} ${code}`, host, count])
      await redis.writeSeries(keys.series, named.length, ...named.flat(), ...failed)
    },

    /** Oldest first; a point for every step, also where nothing happened. */
    async points(span: Span): Promise<{ stepMs: number; points: Point[] }> {
      const { stepMs, count } = POINTS[span]
      const [nowMs, ...rows] = await redis.readSeries(keys.series, 'points', stepMs, count)
      const found = new Map(rows.map(([atMs, flat]) => [atMs, numbersOf(flat)]))
      const last = Math.floor(nowMs / stepMs) * stepMs
      const points = Array.from({ length: count }, (_, i) => {
        const atMs = last - (count - 1 - i) * stepMs
        return { atMs, values: Object.fromEntries(found.get(atMs) ?? []) as Point['values'] }
      })
      return { stepMs, points }
    },

    /** Most first. */
    async failures(span: Span): Promise<FailureCount[]> {
      const spanMs = POINTS[span].stepMs * POINTS[span].count
      const [, ...rows] = await redis.readSeries(keys.series, 'failures', FAILURES_MS, spanMs / FAILURES_MS)
      const total = new Map<string, number>()
      for (const [, flat] of rows) {
        for (const [name, count] of numbersOf(flat)) total.set(name, (total.get(name) ?? 0) + count)
      }
      return [...total].map(([name, count]) => failureOf(name, count)).sort((a, b) => b.count - a.count)
    },
  }
}

export type Series = ReturnType<typeof seriesOf>

function failureOf(name: string, count: number): FailureCount {
  const [, step, code = '', host = ''] = /^(d|c) (\S*) (.*)$/s.exec(name) ?? []
  return { step: step === 'c' ? 'callback' : 'download', code, host, count }
}

const numbersOf = (flat: string[]): [string, number][] =>
  Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i] ?? '', Number(flat[2 * i + 1])])
