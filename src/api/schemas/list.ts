import { z } from 'zod'
import { Count, Instant } from '../query.ts'
import { Id, Time } from './job.ts'

const text = z.string().min(1)

export const listableStates = [
  'pending',
  'running',
  'callback_pending',
  'callback_running',
  'callback_failed',
  'done',
  'failed',
  'cancelled',
] as const

export const JobQuery = z.object({
  state: z.enum(listableStates, `is required, and one of ${listableStates.join(', ')}`),
  aggr_id: text.optional().describe('not for callback_pending and callback_running, which are grouped by receiver'),
  receiver: text.optional().describe('for callback_…: `scheme://host:port`, a topic, or `host/path` of a queue'),
  code: text.optional().describe('for failed and callback_failed: an error code'),
  since: Instant.optional().describe('for jobs at rest: since when they do'),
  until: Instant.optional(),
  count: Count,
  cursor: text.optional().describe('`next` of the page before'),
})
export type JobQuery = z.infer<typeof JobQuery>

export const JobSummary = z.strictObject({
  id: Id,
  state: z.enum([...listableStates, 'cancelling']),
  aggr_id: z.string(),
  url: z.string().describe('without credentials and query'),
  attempts: z.int().min(0),
  code: z.string().describe('of the last attempt that failed, or empty'),
  error: z.string().describe('of the download, or, where that succeeded, of the callback'),
  at: Time.describe('pending: when it may start; running: when its lease ends; at rest: since when'),
})
export type JobSummary = z.infer<typeof JobSummary>

export const JobList = z.strictObject({
  jobs: z
    .array(JobSummary)
    .describe('at rest: newest first; pending: by aggregation or receiver, in the order of the queue'),
  next: z
    .string()
    .nullable()
    .describe('`cursor` of the next page; null on the last one. A page may be short and not be the last'),
})

const rate = z.number('must be a number').min(0.01, 'must be at least 0.01').max(10_000, 'must be at most 10000')

/** `POST /retry`. */
export const RetryRequest = z.strictObject({
  state: z.enum(['callback_failed', 'failed'], 'must be callback_failed or failed').default('callback_failed'),
  aggr_id: text.optional(),
  code: text.optional(),
  receiver: text.optional(),
  since: Instant.optional(),
  until: Instant.optional(),
  rate: rate.default(50).describe('how many start in a second; further requests come behind'),
  count: z.int('must be an integer').min(1).max(10_000).default(1000).describe('how many at most, newest first'),
})
export type RetryRequest = z.infer<typeof RetryRequest>

export const RetryView = z.strictObject({
  retried: z.int().min(0),
  more: z.boolean().describe('whether there may be others: repeat the request'),
  last_starts_at: Time.nullable(),
})
