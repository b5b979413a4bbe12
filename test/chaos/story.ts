import type { Evidence } from './accounting.ts'
import { RECOVERY_MS } from './settings.ts'

/** Tells everything that was seen of job `n`, a line each, in ms since the first POST. */
export function storyOf({ posts, recording, injected, changesMs }: Evidence, n: number): string {
  const zero = posts[0]?.sentMs ?? 0
  const time = (ms: number | undefined) => (ms === undefined ? '…' : (ms - zero).toFixed(1))
  const lines: [ms: number, text: string][] = []
  for (const { api, sentMs, answeredMs, id, trouble } of posts.filter((post) => post.n === n)) {
    lines.push([sentMs, `–${time(answeredMs)} POST to ${api}: ${id ?? trouble}`])
  }
  for (const { group, who, startMs, endMs, how } of recording.visits.filter((visit) => visit.n === n)) {
    lines.push([startMs, `–${time(endMs)} ${who} at ${group}: ${how}`])
  }
  const from = Math.min(...lines.map(([ms]) => ms)) - 1000
  const to = Math.max(...lines.map(([ms]) => ms)) + RECOVERY_MS
  for (const { fault, target, fromMs, toMs } of injected) {
    if (toMs > from && fromMs < to) lines.push([fromMs, `–${time(toMs)} ${fault.name} of ${target}`])
  }
  for (const ms of changesMs) if (ms > from && ms < to) lines.push([ms, ' another master was named'])
  const sorted = lines.sort(([a], [b]) => a - b)
  return sorted.map(([ms, text]) => `    ${time(ms)}${text}`).join('\n')
}
