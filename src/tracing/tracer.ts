import { randomBytes } from 'node:crypto'
import type { SpanExporter } from './otlp.ts'
import { formatTraceparent, parseTraceparent } from './traceparent.ts'

export type SpanKind = 'server' | 'client'
export type Attributes = Record<string, string | number | boolean | undefined>

/** Something that is over. */
export interface EndedSpan {
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  kind: SpanKind
  startMs: number
  endMs: number
  attributes: Attributes
  /** Why it failed, if it did. */
  error: string | undefined
}

/** Something under way. */
export interface Span {
  /** For whatever it causes. */
  readonly traceparent: string
  /** @param what with `durationMs` when it began before its span did */
  end(what: Pick<EndedSpan, 'name' | 'kind' | 'attributes'> & { error?: string | undefined; durationMs?: number }): void
}

export interface Tracer {
  /**
   * Begins something within a caller's trace. Whether it is recorded was decided by who began the trace.
   *
   * @returns undefined when `parent` is no `traceparent`: nothing is traced that no caller traces
   */
  begin(parent: string | undefined): Span | undefined
  /** Sends what is left, for a second or two. */
  close(): Promise<void>
}

/** Spans within the traces of callers. */
export function tracerOf(exporter: SpanExporter): Tracer {
  return {
    begin(parent) {
      const context = parent === undefined ? undefined : parseTraceparent(parent)
      if (!context) return undefined
      const { traceId, spanId: parentSpanId, sampled } = context
      const spanId = randomBytes(8).toString('hex')
      const began = performance.now()
      return {
        traceparent: formatTraceparent({ traceId, spanId, sampled }),
        end({ durationMs, error, ...what }) {
          if (!sampled) return
          const now = performance.now()
          const endMs = performance.timeOrigin + now
          const startMs = endMs - (durationMs ?? now - began)
          exporter.add({ traceId, spanId, parentSpanId, startMs, endMs, error, ...what })
        },
      }
    },
    close: () => exporter.close(),
  }
}
