import type { Log } from '../log.ts'
import type { TracingConfig } from './config.ts'
import { otlpExporter } from './otlp.ts'
import { type Tracer, tracerOf } from './tracer.ts'

/** Loaded where tracing is on, and only there; the caller closes what it returns. */
export function openTracer({ otlp_url: url }: TracingConfig, service: string, version: string, log: Log): Tracer {
  return tracerOf(otlpExporter({ url, service, version, log }))
}
