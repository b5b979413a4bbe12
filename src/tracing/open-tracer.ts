import type { Log } from '../log.ts'
import type { TracingConfig } from './config.ts'
import type { Tracer } from './tracer.ts'

/** Loads what tracing needs, where it is on; the caller closes it. */
export async function openTracer(
  tracing: TracingConfig | undefined,
  service: string,
  version: string,
  log: Log,
): Promise<Tracer | undefined> {
  if (!tracing) return undefined
  const [{ otlpExporter }, { tracerOf }] = await Promise.all([import('./otlp.ts'), import('./tracer.ts')])
  return tracerOf(otlpExporter({ url: tracing.otlp_url, service, version, log }))
}
