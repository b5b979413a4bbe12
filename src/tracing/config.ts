import { z } from 'zod'

/** Tracing is on when the section is there. */
export const TracingConfig = z.strictObject({
  /** Base of an OpenTelemetry collector's OTLP/HTTP: spans go to `<otlp_url>/v1/traces`. */
  otlp_url: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }),
})
export type TracingConfig = z.infer<typeof TracingConfig>
