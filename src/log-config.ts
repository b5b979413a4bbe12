import { z } from 'zod'

export const LogConfig = z.strictObject({
  /** The variable `LOG_LEVEL` wins; without either, `info`. */
  level: z.enum(['debug', 'info', 'warn', 'error', 'fatal', 'silent']).optional(),
  /** Whether the lines of attempts have the queries of URLs, which are often signatures that open files to everybody. */
  url_queries: z.boolean().default(false),
})
