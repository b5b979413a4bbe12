import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { JobError } from '../../jobs/errors.ts'
import { type BodyQueue, bodyQueue, type ResponseBody } from './body-queue.ts'
import { type Circumstances, networkFailure } from './errors.ts'
import type { Lease } from './pools.ts'

// connecting ──▶ sent ──▶ head ──▶ body ──▶ ended
//      │           │        │        │
//      └───────────┴────────┴────────┴──▶ failed: abort, timeout, network; the connection is closed

export interface ExchangeOptions {
  /** Released when undici has nothing more to do with it; that may be after the promise has settled. */
  lease: Lease
  request: Dispatcher.DispatchOptions
  /** Name and port of the origin. */
  host: string
  /** Status of the redirect that led here; 0 when none did. */
  redirectStatus: number
  headersTimeoutMs: number
  stallTimeoutMs: number
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
  const { lease, request, host, redirectStatus, headersTimeoutMs, stallTimeoutMs } = options
  return new Promise((resolve, reject) => {
    const circumstances: Circumstances = { host, status: 0, redirectStatus }
    let connection: Dispatcher.DispatchController | undefined
    let headersTimer: NodeJS.Timeout | undefined
    let body: BodyQueue | undefined
    let mayResend = false
    let resent = false
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
      if (body === undefined) reject(error)
      else body.fail(error)
      connection?.abort(givenUp()) // where there is none yet, `onRequestStart` does it
    }

    const onAbort = () => fail(signal.reason)
    const source = { fail, pause: () => connection?.pause(), resume: () => connection?.resume() }

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        connection = controller
        if (settled) return controller.abort(givenUp())
        mayResend = !resent && !lease.isNewConnection()
        headersTimer = setTimeout(() => fail(slowHead(circumstances, headersTimeoutMs)), headersTimeoutMs)
      },
      onResponseStart(_, status, headers, reason = '') {
        if (status < 200 || settled) return
        clearTimeout(headersTimer)
        circumstances.status = status
        const length = contentLength(headers)
        body = bodyQueue({ source, stallTimeoutMs, length, stalled: () => stalled(circumstances, stallTimeoutMs) })
        resolve({ status, reason, headers, body: body.readable })
      },
      onResponseData: (_, chunk) => body?.push(chunk),
      onResponseEnd() {
        if (settle()) body?.end()
        lease.release()
      },
      onResponseError(_, error) {
        const failure = networkFailure(error, circumstances)
        if (mayResend && !settled && failure.code === 'connect.reset') return resend()
        fail(failure)
        lease.release()
      },
    }

    const send = () => lease.pool.dispatch(request, handler)
    /** An idle connection may be closed just as we use it: that says nothing about the origin (RFC 9112, section 9.3.1). */
    function resend(): void {
      resent = true
      mayResend = false
      connection = undefined
      clearTimeout(headersTimer)
      queueMicrotask(send)
    }

    signal.addEventListener('abort', onAbort, { once: true })
    send()
  })
}

/** Bytes that the body will have as it travels; undefined when the head does not say. */
export function contentLength(headers: IncomingHttpHeaders): number | undefined {
  const text = headers['content-length']
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

function slowHead({ host, redirectStatus }: Circumstances, ms: number): JobError {
  const options = { retriable: true, responseCode: redirectStatus }
  return new JobError('timeout.headers', `no response from ${host} within ${ms} ms`, options)
}

function stalled({ host, status }: Circumstances, ms: number): JobError {
  return new JobError('timeout.stall', `no data from ${host} for ${ms} ms`, { retriable: true, responseCode: status })
}

const givenUp = () => new Error('given up')
