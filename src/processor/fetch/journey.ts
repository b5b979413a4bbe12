import type { DownloadResult } from '../../jobs/job.ts'
import type { ConnectTimings } from '../../net/connector.ts'

/** What a download went through, as far as it came: of one that failed, too. */
export interface Journey {
  /** When it began, by `performance.now()`. */
  readonly begun: number
  /**
   * Where the last request went; `""` before there was one. Without credentials and query: a query is often a signature
   * that opens the file to everybody, and a callback passes many hands.
   */
  url: string
  redirects: number
  /** ms spent on names, connections and TLS, over all requests; a connection that is used again costs nothing. */
  readonly connecting: ConnectTimings
  /** ms until the head of the last response was here; 0 when none came. */
  firstByteMs: number
  /** ms until the last exchange ended, well or not. */
  totalMs: number
  /** Decoded bytes that are here, after its first bytes were looked at. */
  bytes: number
}

export const newJourney = (): Journey => ({
  begun: performance.now(),
  url: '',
  redirects: 0,
  connecting: { dns: 0, connect: 0, tls: 0 },
  firstByteMs: 0,
  totalMs: 0,
  bytes: 0,
})

/** What a job's record keeps of it, for weeks: little. */
export function travelled(journey: Journey): Pick<DownloadResult, 'timings' | 'redirects' | 'finalUrl'> {
  const { url, redirects, connecting, firstByteMs, totalMs } = journey
  if (url === '') return {}
  const ms = Math.round
  return {
    timings: [ms(connecting.dns), ms(connecting.connect), ms(connecting.tls), ms(firstByteMs), ms(totalMs)],
    ...(redirects > 0 && { redirects, finalUrl: url }),
  }
}
