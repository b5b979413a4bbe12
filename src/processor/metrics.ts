import { countedCode } from '../failure-counts.ts'
import type { Metrics } from '../metrics/metrics.ts'
import { bytesOf, type EndedAttempt } from './ended-attempt.ts'

/** What this processor is asked about between two attempts. */
export interface ProcessorLook {
  running(): number
  diskUsedRatio(): number
  diskHasRoom(): boolean
}

/** What this processor did, for Prometheus. */
export function processorMetrics({ counter, gaugeOf, histogram }: Metrics, look: ProcessorLook) {
  const attempts = counter('attempts_total', 'Attempts at downloads that ended, by code; ok: downloaded', ['code'])
  const bytes = counter('received_bytes_total', 'Decoded bytes of bodies that came')
  const duration = histogram(
    'download_duration_seconds',
    'How long attempts at downloads took, until the file was stored or the attempt failed',
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
    ['outcome'],
  )
  gaugeOf(
    'downloads_running',
    'Downloads that run in this process, with those that only store their file',
    look.running,
  )
  gaugeOf('disk_used_ratio', 'How full the fullest disk is that this processor writes to, 0 to 1', look.diskUsedRatio)
  gaugeOf('disk_full', '1 while no downloads are started, for the disk is full', () => (look.diskHasRoom() ? 0 : 1))
  attempts.inc({ code: 'ok' }, 0)

  return {
    attempted(attempt: EndedAttempt): void {
      const { code, durationMs, result, failure } = attempt
      attempts.inc({ code: countedCode(code) })
      bytes.inc(bytesOf(attempt))
      if (result || failure) duration.observe({ outcome: result ? 'ok' : 'failed' }, durationMs / 1000)
    },
  }
}
