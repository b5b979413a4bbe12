/** Where in a trace something is. */
export interface TraceContext {
  /** 32 hex digits */
  traceId: string
  /** 16 hex digits */
  spanId: string
  /** Whether its spans are recorded. */
  sampled: boolean
}

const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** A `traceparent` header (W3C Trace Context, section 3.2). Undefined when it is none: then it is to be ignored. */
export function parseTraceparent(text: string): TraceContext | undefined {
  const [, version, traceId, spanId, flags = '', more] = TRACEPARENT.exec(text) ?? []
  if (!traceId || !spanId || (version === '00' && more !== undefined)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export const formatTraceparent = ({ traceId, spanId, sampled }: TraceContext): string =>
  `00-${traceId}-${spanId}-0${sampled ? 1 : 0}`
