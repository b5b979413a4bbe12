import { printable } from '../printable.ts'

/** Rows under their heads, in columns; numbers stand on the right. What comes from outside can do a terminal no harm. */
export function table(heads: string[], rows: (string | number | null)[][]): string {
  const cells = [heads, ...rows.map((row) => row.map((cell) => printable(String(cell ?? '-'))))]
  const widths = heads.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)))
  const isNumber = heads.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'))
  const line = (row: string[]) =>
    row.map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ')
  return cells.map((row) => line(row).trimEnd()).join('\n')
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

export function bytesText(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), UNITS.length - 1)
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${UNITS[power]}`
}

export function durationText(ms: number): string {
  const s = Math.round(ms / 1000)
  if (s < 60) return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  return s < 86_400 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : `${Math.floor(s / 86_400)} days`
}

export const countText = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`
