import { z } from 'zod'
import { MonitorConfig } from '../metrics/config.ts'
import { milliseconds, millisecondsOrNone } from '../milliseconds.ts'
import { AllowNetworks } from '../net/config.ts'

const count = z.number().int().min(1).max(100_000)

export const NotifierConfig = z.strictObject({
  /** Also accepted here, as the original's sample has it; `processor.download_url` wins. */
  download_url: z.string().optional(),
  /** Callbacks at once to one receiver, if `receiver_concurrency` does not say otherwise. */
  concurrency: count.default(10),
  /** Callbacks at once to one receiver, over all notifiers. */
  receiver_concurrency: count.optional(),
  /** Callbacks at once in this process; 8 × `concurrency` unless set. */
  max_in_flight: count.optional(),
  max_retries: z.number().int().min(0).default(5),
  /** Delay before the first retry; doubles each time. */
  retry_backoff_ms: milliseconds.default(10_000),
  /** Minutes after delivery until the file is deleted; fractions allowed. */
  deletion_interval: z.number().min(0).default(180),
  /** Link-local and metadata addresses that receivers may have all the same. */
  allow_networks: AllowNetworks,
  lease_ms: milliseconds.min(100).default(30_000),
  max_stalls: z.number().int().min(1).default(3),
  stats_interval: milliseconds.default(5000),
  shutdown_grace_ms: millisecondsOrNone.default(30_000),
  ...MonitorConfig.shape,
})
export type NotifierConfig = z.infer<typeof NotifierConfig>
