import { z } from 'zod'
import { MonitorConfig } from '../metrics/config.ts'
import { milliseconds, millisecondsOrNone } from '../milliseconds.ts'
import { FileStorageConfig } from '../storage/config.ts'
import { FetchConfig } from './fetch/config.ts'

const percent = z.number().min(0).max(100)

export const ProcessorConfig = z
  .strictObject({
    filestorage: FileStorageConfig.optional(),
    /** Temporary files; without `filestorage` also the root, which is deprecated. */
    storage_dir: z.string().min(1).optional(),
    /** Base of the callback's `download_url`. */
    download_url: z.string().optional(),
    /** Downloads at once in this process, over all groups. */
    concurrency: z.number().int().min(1).max(10_000).default(256),
    /** Requests at once to one host, over all groups and processors; 0: no limit. */
    host_limit: z.number().int().min(0).max(1_000_000).default(0),
    /** Retries after the first attempt; a job's own wins. */
    max_retries: z.number().int().min(0).default(2),
    /** The delay before retry n is n × this. */
    retry_backoff_ms: milliseconds.default(120_000),
    lease_ms: milliseconds.min(100).default(30_000),
    max_stalls: z.number().int().min(1).default(3),
    /** Most pixels of an image whose size is known; 0 means no limit. */
    max_pixels: z.number().int().min(0).default(0),
    /** Whether what came of a file is kept, to ask for the rest only. */
    resume: z.boolean().default(true),
    disk_high: percent.default(95),
    /** 90, or `disk_high` where that is lower, unless set. */
    disk_low: percent.optional(),
    stats_interval: milliseconds.default(5000),
    shutdown_grace_ms: millisecondsOrNone.default(30_000),
    ...MonitorConfig.shape,
    /** How long records of jobs at rest, and their files, are kept. */
    rest_ttl_days: z.number().positive().default(30),
    ...FetchConfig.shape,
  })
  .refine(({ disk_low = 0, disk_high }) => disk_low <= disk_high, {
    path: ['disk_low'],
    message: 'must not be above disk_high',
  })
export type ProcessorConfig = z.infer<typeof ProcessorConfig>
