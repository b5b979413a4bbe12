import { z } from 'zod'

/** Where a worker says how it is: `/metrics`, `/livez`, `/readyz`, to everybody who can reach the port. */
export const MonitorConfig = z.object({
  /** 0: nowhere. */
  metrics_port: z.number().int().min(0).max(65_535).default(0),
  metrics_host: z.string().min(1).default('127.0.0.1'),
})
