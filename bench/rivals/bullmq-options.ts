// What the three processes share. Each choice is that of BullMQ's documentation, or the cheaper one where it leaves it
// open: https://docs.bullmq.io/guide/going-to-production, /guide/connections, /guide/parallelism-and-concurrency.
import type { JobsOptions, Queue, Worker } from 'bullmq'

export const DOWNLOADS = 'downloads'
export const CALLBACKS = 'callbacks'

export interface DownloadData {
  url: string
  receiver: string
}

export interface CallbackData {
  id: string
  receiver: string
  bytes: number
  verified: { sha256: string; mimeType: string }
}

/** A few attempts with growing delays; what is done is removed, what failed is kept to be looked at. */
export const jobOptions: JobsOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 10_000 },
  removeOnComplete: true,
  removeOnFail: { count: 5000 },
}

/** Of the API: a caller is told at once when Redis is away. */
export const producing = (port: number) => ({
  host: '127.0.0.1',
  port,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
})

/** Of a worker: it waits for Redis, however long. */
export const consuming = (port: number) => ({ host: '127.0.0.1', port, maxRetriesPerRequest: null })

/** An error of a connection is said, not thrown. */
export function logErrors(...parts: (Queue | Worker)[]): void {
  const log = (error: Error) => console.error(error.message)
  for (const part of parts) (part as NodeJS.EventEmitter).on('error', log)
}
