import { z } from 'zod'

export const ApiConfig = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  port: z.number().int().min(0).max(65_535).default(8000),
  /** While this file exists, `GET /hb` answers 503. */
  heartbeat_path: z.string().optional(),
  /** When given, every endpoint but the health ones wants one of these as bearer token. */
  tokens: z.array(z.string().min(1)).optional(),
  /** 413 above. */
  max_body_bytes: z
    .number()
    .int()
    .min(1)
    .default(1024 * 1024),
  /** The same for the body of `POST /downloads`, which has up to 10,000 jobs. */
  max_batch_bytes: z
    .number()
    .int()
    .min(1)
    .default(16 * 1024 * 1024),
  /** While so many downloads are pending, no more are accepted (503); 0: no such limit. */
  max_queued_jobs: z.number().int().min(0).default(0),
  /** How long a client may take to send a request. */
  request_timeout_ms: z.number().int().min(1000).max(600_000).default(30_000),
})
export type ApiConfig = z.infer<typeof ApiConfig>
