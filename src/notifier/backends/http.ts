import { createHmac } from 'node:crypto'
import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { JobError } from '../../jobs/errors.ts'
import { basicAuthorization } from '../../net/request-headers.ts'
import { redactedUrl } from '../../shown-url.ts'
import type { Backend } from './backend.ts'
import { networkFailure } from './network-failure.ts'

export const HttpConfig = z.strictObject({
  /** seconds, for the whole exchange until the status has come */
  timeout: z.number().positive().max(86_400).default(30),
  /** `whsec_<base64>`, or any text, of which the UTF-8 bytes are the key. Given, callbacks are signed. */
  signing_secret: z
    .string()
    .min(1)
    .refine((secret) => signingKey(secret).length > 0, 'whsec_ must be followed by the key in base64')
    .optional(),
})

/** Of an answer's body so much is read, which keeps the connection for the next callback; a longer one ends it. */
const MAX_ANSWER_BYTES = 4096
/** How long the rest of an answer may take once its status has come: the receiver has the request open meanwhile. */
const MAX_LINGER_MS = 250

/**
 * POSTs callbacks. A 2xx status is a delivery, whatever follows it; redirects are not followed.
 *
 * @param dispatcher the guarded one: it refuses addresses that callbacks must not reach. Closed by who made it.
 */
export function httpBackend(config: z.infer<typeof HttpConfig>, dispatcher: Dispatcher): Backend {
  const key = config.signing_secret === undefined ? undefined : signingKey(config.signing_secret)
  const timeoutMs = config.timeout * 1000

  return {
    async deliver(destination, callback, signal, traceparent) {
      signal.throwIfAborted()
      const { origin, path, authorization } = parseDestination(destination)
      const body = JSON.stringify(callback)
      const headers = ['content-type', 'application/json', 'user-agent', 'downloader']
      if (authorization !== undefined) headers.push('authorization', authorization)
      if (traceparent !== undefined) headers.push('traceparent', traceparent)
      if (key !== undefined) headers.push(...signature(key, callback.job_id, body))

      const request = { origin, path, method: 'POST', headers, body } as const
      const status = await post(dispatcher, request, timeoutMs, signal).catch((error: unknown) => {
        signal.throwIfAborted()
        throw networkFailure(redactedUrl(destination), error)
      })
      if (status < 200 || status > 299) {
        const redirected = status < 400 ? '; redirects are not followed' : ''
        const text = `${redactedUrl(destination)} answered ${status}${redirected}`
        throw new JobError('receiver.status', text, { retriable: true })
      }
    },

    async close() {},
  }
}

interface Destination {
  origin: string
  path: string
  /** Of the credentials in the URL, if any. */
  authorization: string | undefined
}

function parseDestination(destination: string): Destination {
  const url = URL.canParse(destination) ? new URL(destination) : undefined
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    const text = `a callback's destination must be an http or https URL; this one is ${redactedUrl(destination)}`
    throw new JobError('receiver.refused', text, { retriable: false })
  }
  return { origin: url.origin, path: url.pathname + url.search, authorization: basicAuthorization(url) }
}

function signingKey(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret)
}

/** Standard Webhooks 1.0: the id is the same at every attempt, so that a receiver can tell a repetition. */
function signature(key: Buffer, id: string, body: string): string[] {
  const timestamp = Math.floor(Date.now() / 1000)
  const mac = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
  return ['webhook-id', id, 'webhook-timestamp', String(timestamp), 'webhook-signature', `v1,${mac}`]
}

/**
 * Sends the request and resolves with the final status once the exchange is over: a receiver that still answers counts
 * against its limit. What follows the status is dropped: at most `MAX_ANSWER_BYTES`, for at most `MAX_LINGER_MS`.
 *
 * This is undici's `dispatch`, not `request`: half of the CPU, no stream for a body that nobody reads, and an abort
 * that counts at once, also while the connection is being made.
 */
function post(
  dispatcher: Dispatcher,
  request: Dispatcher.DispatchOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let stopped: Error | undefined
    let controller: Dispatcher.DispatchController | undefined
    let status = 0
    let received = 0

    /** Once the status has come, nothing can change it. */
    const end = (error: unknown) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      if (status > 0) resolve(status)
      else reject(error)
    }
    const stop = (reason: Error) => {
      stopped = reason
      controller?.abort(reason)
      end(reason)
    }
    const onAbort = () => stop(signal.reason)
    const late = () =>
      stop(new JobError('receiver.timeout', `no answer within ${timeoutMs / 1000} s`, { retriable: true }))
    let timer = setTimeout(late, timeoutMs)
    signal.addEventListener('abort', onAbort, { once: true })

    dispatcher.dispatch(request, {
      onRequestStart(started) {
        controller = started
        if (stopped !== undefined) started.abort(stopped)
      },
      onResponseStart(_, code) {
        if (code < 200) return
        status = code
        clearTimeout(timer)
        timer = setTimeout(() => stop(new Error('the rest of the answer took too long')), MAX_LINGER_MS)
      },
      onResponseData(_, chunk) {
        received += chunk.length
        if (received > MAX_ANSWER_BYTES) stop(new Error('the answer was too long'))
      },
      onResponseEnd: () => end(undefined),
      onResponseError: (_, error) => end(error),
    })
  })
}
