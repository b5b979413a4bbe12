import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { JobError } from '../../jobs/errors.ts'
import { type BodyQueue, bodyQueue, type ResponseBody, type Speed } from './body-queue.ts'
import type { Lease } from './clients.ts'
import { type Circumstances, networkFailure, tooManyHeaders } from './errors.ts'
import type { Journey } from './journey.ts'

// connecting ──▶ sent ──▶ head ──▶ body ──▶ ended
//      │           │        │        │
//      └───────────┴────────┴────────┴──▶ failed: abort, timeout, network; the connection is closed

/** Informational responses before the real one; servers send one or two. */
const mostHints = 32
/** The kindest of servers send fifty. */
const mostHeaders = 1000

export interface ExchangeOptions {
  /** Released or destroyed here. */
  lease: Lease
  /** `GET` this. */
  request: Omit<Dispatcher.DispatchOptions, 'method'>
  /** Name and port of the origin. */
  host: string
  /** Status of the redirect that led here; 0 when none did. */
  redirectStatus: number
  headersTimeoutMs: number
  stallTimeoutMs: number
  /** The least speed of a body. */
  minSpeed: Speed
  /** Told how long this took. */
  journey: Journey
}

export interface Response {
  status: number
  /** The server's words for it. */
  reason: string
  headers: IncomingHttpHeaders
  body: ResponseBody
}

/**
 * One request and its response. It uses undici's `dispatch`, which costs half of `request`, has no stream around a body
 * that is only iterated over, and leaves the timers to us: undici's tick once a second.
 *
 * @throws {JobError} see `networkFailure`
 * @throws the signal's reason, when it aborts; the connection is closed then
 */
export function exchange(options: ExchangeOptions, signal: AbortSignal): Promise<Response> {
  const { lease, request, host, redirectStatus, headersTimeoutMs, stallTimeoutMs, minSpeed, journey } = options
  return new Promise((resolve, reject) => {
    const circumstances: Circumstances = { host, status: 0, redirectStatus }
    let flow: Dispatcher.DispatchController | undefined
    let headersTimer: NodeJS.Timeout | undefined
    let body: BodyQueue | undefined
    let hints = 0
    let settled = false

    function settle(): boolean {
      if (settled) return false
      settled = true
      clearTimeout(headersTimer)
      signal.removeEventListener('abort', onAbort)
      return true
    }

    function fail(error: unknown): void {
      if (!settle()) return
      lease.destroy()
      measure()
      if (body === undefined) reject(error)
      else body.fail(error)
    }

    function measure(): void {
      for (const step of ['dns', 'connect', 'tls'] as const) journey.connecting[step] += lease.timings[step]
      journey.totalMs = performance.now() - journey.begun
    }

    const onAbort = () => fail(signal.reason)
    const source = { signal, fail, pause: () => flow?.pause(), resume: () => flow?.resume() }

    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    lease.client.dispatch(
      { ...request, method: 'GET' },
      {
        onRequestStart(controller) {
          flow = controller
          headersTimer = setTimeout(() => fail(slowHead(circumstances, headersTimeoutMs)), headersTimeoutMs)
        },
        onResponseStart(_, status, headers, reason = '') {
          if (settled) return
          if (status < 200) {
            if (++hints > mostHints) fail(tooManyHints(circumstances))
            return
          }
          clearTimeout(headersTimer)
          circumstances.status = status
          if (Object.values(headers).flat().length > mostHeaders) {
            return fail(tooManyHeaders(host, `${mostHeaders} lines`, { responseCode: status }))
          }
          journey.firstByteMs = performance.now() - journey.begun
          const length = contentLength(headers)
          body = bodyQueue({
            source,
            stallTimeoutMs,
            stalled: () => stalled(circumstances, stallTimeoutMs),
            minSpeed,
            tooSlow: (bytesPerS) => tooSlow(circumstances, bytesPerS, minSpeed),
            length,
          })
          resolve({ status, reason, headers, body: body.readable })
        },
        onResponseData: (_, chunk) => body?.push(chunk),
        onResponseEnd() {
          if (!settle()) return
          lease.release()
          measure()
          body?.end()
        },
        onResponseError: (_, error) => fail(networkFailure(error, circumstances)),
      },
    )
  })
}

function tooManyHints({ host, redirectStatus }: Circumstances): JobError {
  const text = `${host} sent more than ${mostHints} informational responses`
  return new JobError('response.malformed', text, { retriable: true, responseCode: redirectStatus })
}

/** Bytes that the body will have as it travels; undefined when the head does not say. */
export function contentLength(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['content-length']
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function slowHead({ host, redirectStatus }: Circumstances, ms: number): JobError {
  const options = { retriable: true, responseCode: redirectStatus } as const
  return new JobError('timeout.headers', `no response from ${host} within ${ms} ms`, options)
}

function stalled({ host, status }: Circumstances, ms: number): JobError {
  return new JobError('timeout.stall', `no data from ${host} for ${ms} ms`, { retriable: true, responseCode: status })
}

function tooSlow({ host, status }: Circumstances, bytesPerS: number, min: Speed): JobError {
  const text = `${host} sent ${bytesPerS} bytes/s over ${min.windowMs / 1000} s, ${min.bytesPerS} bytes/s at least are waited for`
  return new JobError('timeout.slow', text, { retriable: true, responseCode: status })
}
