import type { GetEventsQuery } from './api.ts'
import type { Http } from './http.ts'

/** What `GET /events` tells. */
export interface JobEvent {
  /** RFC 3339 */
  at: string
  id: string
  event: NonNullable<GetEventsQuery['event']>
  /** Where it happened; room and group are empty where that was not looked up. */
  room: string
  group: string
  /** Of the attempt that failed. */
  code?: string
}

/** `listening`: from now on nothing is missed, but what `dropped` counts. */
export type Live = { kind: 'listening' } | { kind: 'job'; job: JobEvent } | { kind: 'dropped'; count: number }

/** The service says something every 15 s, if only a comment: a connection that is silent for longer is dead. */
const MAX_SILENT_MS = 45_000
const MAX_EVENT_CHARACTERS = 1024 * 1024

/**
 * What happens to jobs, as it happens, until the stream ends: the API was stopped, or a connection broke.
 *
 * @throws {ApiUnreachable | ApiProblem} the stream did not begin
 * @throws the signal's reason, when it aborts; or why the stream broke
 */
export async function* events(http: Http, query: GetEventsQuery, signal: AbortSignal): AsyncGenerator<Live> {
  const end = new AbortController()
  const onAbort = () => end.abort(signal.reason)
  signal.throwIfAborted()
  signal.addEventListener('abort', onAbort, { once: true })
  const silent = () => end.abort(new Error('the stream of events has gone silent'))
  let timer = setTimeout(silent, MAX_SILENT_MS)
  try {
    const response = await http.stream('/events', { query: { ...query }, signal: end.signal })
    const decoder = new TextDecoder()
    let text = ''
    for await (const chunk of chunksOf(response, end.signal)) {
      clearTimeout(timer)
      timer = setTimeout(silent, MAX_SILENT_MS)
      text += decoder.decode(chunk, { stream: true })
      const blocks = text.split('\n\n')
      text = blocks.pop() ?? ''
      if (text.length > MAX_EVENT_CHARACTERS) throw new Error('an event is too long')
      for (const block of blocks) {
        const live = parse(block)
        if (live) yield live
      }
    }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
    end.abort()
  }
}

/**
 * The body of a response, until `signal` aborts. The signal that was given to `fetch` does not do: it is held on to no more
 * once the head has come, and after the next collection of garbage nothing ends the body (Node 20.20).
 */
async function* chunksOf({ body }: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!body) return
  const reader = body.getReader()
  const stop = () => void reader.cancel(signal.reason).catch(() => {})
  signal.addEventListener('abort', stop, { once: true })
  try {
    for (;;) {
      signal.throwIfAborted()
      const { done, value } = await reader.read()
      signal.throwIfAborted()
      if (done) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
  }
}

function parse(block: string): Live | undefined {
  if (block.startsWith(': listening')) return { kind: 'listening' }
  const lines = block.split('\n')
  const textAfter = (name: string) => lines.find((line) => line.startsWith(name))?.slice(name.length)
  const data = textAfter('data: ')
  if (data === undefined) return undefined
  const event = textAfter('event: ')
  if (event === 'job') return { kind: 'job', job: JSON.parse(data) as JobEvent }
  return event === 'dropped' ? { kind: 'dropped', count: Number(data) } : undefined
}
