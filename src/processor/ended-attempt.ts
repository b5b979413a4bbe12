import type { JobError } from '../jobs/errors.ts'
import type { DownloadRequest, DownloadResult } from '../jobs/job.ts'
import type { Log } from '../log.ts'
import type { Claim } from '../queue/room.ts'
import { hostNamed, redactedUrl } from '../shown-url.ts'
import type { Attributes, Tracer } from '../tracing/tracer.ts'
import type { Journey } from './fetch/journey.ts'

/** An attempt at a download that is over. */
export interface EndedAttempt {
  claim: Claim
  request: DownloadRequest
  journey: Journey
  /** `ok`, the code of its failure, or why it was let go: `cancelled`, `handed_back`, `lease_lost`. */
  code: string
  /** Attempts that the job may have. */
  of: number
  durationMs: number
  result?: DownloadResult | undefined
  failure?: JobError | undefined
  /** When it failed and is tried again. */
  retryDelayMs?: number | undefined
  /** The origin found it too fast: it counts as no attempt of the job's. */
  putOff?: boolean
}

/** One wide line for an attempt: all that is known of it, and no secret of the job's. */
export function logAttempt(log: Log, urlQueries: boolean): (attempt: EndedAttempt) => void {
  return (attempt) => {
    const { claim, request, journey, code, of, durationMs, result, failure, retryDelayMs, putOff } = attempt
    const { job, group, gift } = claim
    const { dns, connect, tls } = journey.connecting
    const line = {
      job_id: job.id,
      aggr_id: group,
      host: hostNamed(request.url),
      url: redactedUrl(request.url, urlQueries),
      attempt: job.attempts + 1,
      of,
      code,
      status: result?.responseCode ?? failure?.responseCode ?? 0,
      bytes: bytesOf(attempt),
      duration_ms: Math.round(durationMs),
      dns_ms: Math.round(dns),
      connect_ms: Math.round(connect),
      tls_ms: Math.round(tls),
      first_byte_ms: Math.round(journey.firstByteMs),
      redirects: journey.redirects,
      ...(gift && { proxy: hostNamed(gift) }),
      ...(job.stalls > 0 && { stalls: job.stalls }),
      ...(result && { mime_type: result.mimeType }),
      ...(failure && { error: failure.message }),
      ...(retryDelayMs !== undefined && { retry_at: new Date(Date.now() + retryDelayMs).toISOString() }),
      ...(request.traceparent && { trace_id: request.traceparent.split('-')[1] }),
    }
    if (putOff) log.info(line, 'download put off')
    else if (failure) log.warn(line, 'download failed')
    else log.info(line, result ? 'downloaded' : 'download let go')
  }
}

/** The origin's side of a job's trace. The origin itself is told nothing of it. */
export function traceAttempt(tracer: Tracer): (attempt: EndedAttempt) => void {
  return (attempt) => {
    const { claim, request, journey, code, durationMs, result, failure } = attempt
    const span = tracer.begin(request.traceparent)
    const attributes: Attributes = {
      'http.request.method': 'GET',
      'http.response.status_code': result?.responseCode || failure?.responseCode || undefined,
      'server.address': hostNamed(request.url),
      'url.full': redactedUrl(request.url),
      'downloader.job_id': claim.job.id,
      'downloader.aggregation': claim.group,
      'downloader.attempt': claim.job.attempts + 1,
      'downloader.code': code,
      'downloader.bytes': bytesOf(attempt),
      'downloader.first_byte_ms': Math.round(journey.firstByteMs),
    }
    span?.end({ name: 'download', kind: 'client', attributes, error: failure?.message, durationMs })
  }
}

/** Bytes that came; of a whole file those that were stored. */
export const bytesOf = ({ result, journey }: EndedAttempt): number => result?.size ?? journey.bytes
