/** What a run of a scenario measured, by name. */
export type Figures = Record<string, number>

/** The value below which a share of the values lies; 0.5 is the median. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

export const median = (values: number[]): number => quantile(values, 0.5)

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits))

/** The quantiles that we print of durations. */
export function spread(ms: number[], prefix = ''): Figures {
  const of = (share: number) => round(quantile(ms, share))
  return { [`${prefix}p50_ms`]: of(0.5), [`${prefix}p95_ms`]: of(0.95), [`${prefix}p99_ms`]: of(0.99) }
}

/** What changed between two readings of counters. */
export function difference(after: Figures, before: Figures): Figures {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]))
}
