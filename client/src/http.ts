import { withDeadline } from './deadline.ts'
import { ApiProblem, ApiUnreachable } from './errors.ts'

export interface HttpOptions {
  /** Base of the API, such as `http://127.0.0.1:8000`. */
  url: string
  /** One of the deployment's `api.tokens`, where it has any. */
  token?: string | undefined
  /** How long one answer may take (60,000). */
  timeoutMs?: number
  /** The most that an answer may have (64 MiB). */
  maxAnswerBytes?: number
}

export interface Request {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** Names without a value are left out. */
  query?: Record<string, string | number | undefined> | undefined
  /** Sent as it is when it is a string, else as JSON. */
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal | undefined
}

export interface Answer<T> {
  body: T
  /** Seconds after which it is worth while to ask again; undefined where the API does not say. */
  retryAfterS: number | undefined
}

export interface Http {
  /**
   * @throws {ApiProblem} the API answered, and not with success
   * @throws {ApiUnreachable} no whole answer came
   * @throws the signal's reason, when it aborts
   */
  json<T>(path: string, request?: Request): Promise<Answer<T>>
  text(path: string, request?: Request): Promise<string>
  /** The response itself, once its head has come; its body has no deadline, and ends when `signal` aborts. */
  stream(path: string, request: Request & { signal: AbortSignal }): Promise<Response>
}

export function http({ url, token, timeoutMs = 60_000, maxAnswerBytes = 64 * 1024 * 1024 }: HttpOptions): Http {
  const base = url.replace(/\/+$/, '')

  async function send(path: string, { method = 'GET', query = {}, body, headers }: Request, signal: AbortSignal) {
    const given = Object.entries(query).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] as [string, string]],
    )
    const search = new URLSearchParams(given).toString()
    const text = body === undefined || typeof body === 'string' ? body : JSON.stringify(body)
    return fetch(`${base}${path}${search && `?${search}`}`, {
      method,
      headers: { ...(token && { authorization: `Bearer ${token}` }), ...headers },
      ...(text !== undefined && { body: text }),
      redirect: 'error', // a token is for this host alone
      signal,
    })
  }

  async function exchange(path: string, request: Request): Promise<{ text: string; headers: Headers }> {
    const answered = await withDeadline(timeoutMs, request.signal, async (signal) => {
      const response = await send(path, request, signal)
      return { response, text: await readText(response, maxAnswerBytes) }
    }).catch((error: unknown) => {
      request.signal?.throwIfAborted()
      throw unreachable(base, error)
    })
    if (!answered.response.ok) throw problemOf(answered.response, answered.text)
    return { text: answered.text, headers: answered.response.headers }
  }

  return {
    async json<T>(path: string, request: Request = {}) {
      const { text, headers } = await exchange(path, request)
      try {
        return { body: JSON.parse(text || 'null') as T, retryAfterS: secondsIn(headers) }
      } catch {
        throw new ApiUnreachable(`${base}${path} did not answer with JSON: is this the API of a Downloader?`)
      }
    },
    text: async (path, request = {}) => (await exchange(path, request)).text,
    async stream(path, request) {
      const { signal } = request
      const response = await withDeadline(timeoutMs, signal, (deadline) => headOf(path, request, deadline)).catch(
        (error: unknown) => {
          signal.throwIfAborted()
          throw unreachable(base, error)
        },
      )
      if (!response.ok) throw problemOf(response, await readText(response, maxAnswerBytes))
      return response
    },
  }

  /** The deadline counts until the head has come; afterwards only the caller's signal ends the response. */
  async function headOf(path: string, request: Request & { signal: AbortSignal }, deadline: AbortSignal) {
    const whole = new AbortController()
    deadline.addEventListener('abort', () => whole.abort(deadline.reason), { once: true })
    const response = await send(path, request, whole.signal)
    request.signal.addEventListener('abort', () => whole.abort(request.signal.reason), { once: true })
    return response
  }
}

async function readText(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  if (response.body === null) return ''
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += chunk.length
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function problemOf(response: Response, text: string): ApiProblem {
  let detail = `the answer is ${response.status} ${response.statusText}`
  try {
    const problem = JSON.parse(text) as { detail?: unknown }
    if (typeof problem.detail === 'string') detail = problem.detail
  } catch {
    // no problem document: a proxy's page, for one
  }
  return new ApiProblem(response.status, detail, secondsIn(response.headers))
}

function secondsIn(headers: Headers): number | undefined {
  const text = headers.get('retry-after') ?? ''
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined
}

function unreachable(base: string, cause: unknown): ApiUnreachable {
  return new ApiUnreachable(`no answer from ${base}: ${innermost(cause)}`, { cause })
}

/** fetch says no more than "fetch failed": the cause says why. */
function innermost(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error.cause instanceof Error) return innermost(error.cause)
  return ('code' in error && String(error.code)) || error.message
}
