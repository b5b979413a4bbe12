import { z } from 'zod'
import { counterNames } from '../../queue/series.ts'
import { Time } from './job.ts'

const count = z.int().min(0)
const number = z.number().min(0)

export const Overview = z.strictObject({
  at: Time,
  version: z.string(),
  login: z.boolean().describe('whether this deployment has tokens'),
  processes: z.array(
    z.strictObject({
      role: z.enum(['api', 'processor', 'notifier']),
      host: z.string(),
      pid: count,
      version: z.string(),
      since: Time,
      running: count,
      concurrency: count.describe('jobs at once, at most; 0: it runs none'),
      cpu: number.describe('cores that it keeps busy'),
      memory: count.describe('resident bytes'),
      disk_full: z.boolean().optional().describe('of a processor: it begins no download before its disk has room'),
    }),
  ),
  rooms: z.array(
    z.strictObject({
      room: z.string(),
      pending: count,
      running: count,
      longest_wait_ms: count.describe('of the jobs that could start: what waits for its group does not count'),
    }),
  ),
  at_rest: z.strictObject({ done: count, failed: count, callback_failed: count, cancelled: count }),
  accepted: count.describe('jobs, ever'),
})
export type Overview = z.infer<typeof Overview>

export const SpanQuery = z.object({ span: z.enum(['hour', 'day']).default('hour') })

const values = Object.fromEntries(
  [...counterNames, 'pending', 'callbacks_pending'].map((name) => [name, number.optional()]),
)

export const SeriesView = z.strictObject({
  step_s: count,
  points: z.array(z.object({ at: Time, ...values }).strict()).describe('oldest first; what is absent is 0'),
})

const step = z.enum(['download', 'callback'])

export const FailuresView = z.strictObject({
  recent: z
    .array(z.strictObject({ step, code: z.string(), host: z.string(), count }))
    .describe('attempts that failed, most first, at most 500 kinds; an empty host: too many to tell apart'),
  at_rest: z
    .array(z.strictObject({ state: z.enum(['failed', 'callback_failed']), code: z.string(), count }))
    .describe('jobs at rest by code, most first'),
  receivers: z
    .array(z.strictObject({ receiver: z.string(), count }))
    .describe('failed callbacks at rest by receiver, most first, at most 500'),
})
export type FailuresView = z.infer<typeof FailuresView>
