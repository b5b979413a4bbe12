import { withDeadline } from '../deadline.ts'
import type { Log } from '../log.ts'
import type { Attributes, EndedSpan, SpanKind } from './tracer.ts'

export interface SpanExporter {
  /** Takes a span; drops it when the collector does not keep up. */
  add(span: EndedSpan): void
  close(): Promise<void>
}

export interface OtlpOptions {
  /** Base URL of the collector. */
  url: string
  /** `downloader-processor`, for example. */
  service: string
  version: string
  log: Log
}

/** Spans that wait for the collector; more are dropped. */
const MAX_WAITING = 4096
const BATCH = 512
const EVERY_MS = 1000
const DEADLINE_MS = 5000
/** The last ones are waited for as long, when the process stops. */
const LAST_MS = 2000
const COMPLAIN_EVERY_MS = 60_000

/**
 * Sends spans by OTLP over HTTP, as JSON (OpenTelemetry protocol 1.x). They are a help, not a promise: a batch that the
 * collector does not take is dropped, and jobs never wait for it.
 */
export function otlpExporter({ url, service, version, log }: OtlpOptions): SpanExporter {
  const target = `${url.replace(/\/+$/, '')}/v1/traces`
  const resource = { attributes: attributesOf({ 'service.name': service, 'service.version': version }) }
  const scope = { name: 'downloader', version }
  const closing = new AbortController()
  let waiting: EndedSpan[] = []
  let dropped = 0
  let complainedAt = Number.NEGATIVE_INFINITY
  let sending: Promise<void> | undefined

  async function send(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, BATCH)
      const body = JSON.stringify({
        resourceSpans: [{ resource, scopeSpans: [{ scope, spans: batch.map(spanOf) }] }],
      })
      try {
        await withDeadline(DEADLINE_MS, closing.signal, (signal) => post(target, body, signal))
      } catch (error) {
        dropped += batch.length
        complain(error instanceof Error ? error.message : String(error))
        if (closing.signal.aborted) return
      }
    }
  }

  function complain(error: string) {
    if (performance.now() - complainedAt < COMPLAIN_EVERY_MS) return
    complainedAt = performance.now()
    log.warn({ error, dropped }, 'spans were dropped: the collector does not take them')
    dropped = 0
  }

  function flush(): Promise<void> {
    sending ??= send().finally(() => {
      sending = undefined
    })
    return sending
  }

  const timer = setInterval(() => void flush(), EVERY_MS)
  return {
    add(span) {
      if (waiting.length >= MAX_WAITING) {
        dropped++
        complain('too many spans wait')
        return
      }
      waiting.push(span)
      if (waiting.length === BATCH) void flush()
    },
    async close() {
      clearInterval(timer)
      const last = setTimeout(() => closing.abort(new Error('the process stops')), LAST_MS)
      await flush()
      await flush() // what came while the last batch was under way
      clearTimeout(last)
      waiting = []
    },
  }
}

async function post(target: string, body: string, signal: AbortSignal): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(target, { method: 'POST', headers, body, signal, redirect: 'error' })
  await response.body?.cancel()
  if (!response.ok) throw new Error(`the collector answered ${response.status}`)
}

/** As the protocol numbers them. */
const KINDS: Record<SpanKind, number> = { server: 2, client: 3 }
const FAILED = 2

function spanOf(span: EndedSpan) {
  const { traceId, spanId, parentSpanId, name, kind, startMs, endMs, attributes, error } = span
  return {
    traceId,
    spanId,
    parentSpanId,
    name,
    kind: KINDS[kind],
    startTimeUnixNano: nanoseconds(startMs),
    endTimeUnixNano: nanoseconds(endMs),
    attributes: attributesOf(attributes),
    status: error === undefined ? {} : { code: FAILED, message: error },
  }
}

/** More digits than a number of JavaScript's holds. */
const nanoseconds = (ms: number): string => `${BigInt(Math.round(ms * 1000)) * 1000n}`

function attributesOf(attributes: Attributes) {
  return Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({ key, value: anyValue(value) }))
}

function anyValue(value: Attributes[string]) {
  if (typeof value === 'boolean') return { boolValue: value }
  if (typeof value !== 'number') return { stringValue: String(value) }
  return Number.isInteger(value) ? { intValue: String(value) } : { doubleValue: value }
}
