import { z } from 'zod'
import { jobStates } from '../../jobs/state.ts'
import { reasonCodes } from '../../jobs/why.ts'

export const Id = z.string().regex(/^[A-Za-z0-9_-]{14}$/)
export const Time = z.iso.datetime().describe('RFC 3339, in UTC')
const count = z.int().min(0)

export const Accepted = z.strictObject({ id: Id })

export const JobState = z
  .enum(jobStates)
  .describe('`expired`: its file is being deleted, but not because its callback was delivered')

/** `DELETE /jobs/:id`. */
export const DeleteQuery = z.object({
  over: z
    .enum(['1', '0'], 'must be 1 or 0')
    .default('0')
    .transform((value) => value === '1')
    .describe('`1`: only when nothing is to come, neither a download nor a callback; else 409'),
})

export const CancelView = z.strictObject({ id: Id, state: z.enum(['cancelled', 'cancelling', 'expired']) })

export const FailedAttempt = z.strictObject({
  step: z.enum(['download', 'callback']),
  code: z.string().describe('a stable code, such as `http.503`'),
  at: Time,
  duration_ms: count,
})

const EndedAttempt = z.strictObject({ at: Time, duration_ms: count })

export const JobResult = z.strictObject({
  success: z.boolean(),
  error: z.string(),
  error_code: z.string(),
  response_code: z.int(),
  size: count,
  sha256: z.string(),
  mime_type: z.string(),
  image_size: z.string().describe('`WxH`, or empty'),
  final_url: z
    .string()
    .describe('where the redirects ended, without credentials and query; empty where that is not known'),
  redirects: count,
  timings: z
    .strictObject({ dns: count, connect: count, tls: count, first_byte: count, total: count })
    .describe('ms, of the last attempt: for names, connections and TLS; until the first and the last byte were here'),
})

export const JobFile = z.strictObject({
  storage: z.string().nullable().describe('null: the bucket is the caller’s own'),
  bucket: z.string().nullable(),
  path: z.string().describe('relative to the root of the storage'),
  url: z.string().describe('empty where the deployment has no `download_url`'),
})

/** `GET /jobs/:id`. */
export const JobView = z.strictObject({
  id: Id,
  state: JobState,
  created_at: Time,
  aggr_id: z.string().nullable().describe('null once the callback was delivered: the request is not kept'),
  url: z.string().nullable().describe('without credentials and query'),
  attempts: count.describe('downloads that ended'),
  put_off: count.describe('times that the origin found too fast: no attempts'),
  stalls: count.describe('how often a worker died with it'),
  failures: z.array(FailedAttempt).describe('the last attempts that failed, oldest first'),
  downloaded: EndedAttempt.nullable().describe('the attempt that succeeded, its file stored'),
  delivered: EndedAttempt.nullable().describe('the callback that its receiver took'),
  received_bytes: count.nullable().describe('while it runs; renewed about three times a lease'),
  callback: z
    .strictObject({
      type: z.enum(['http', 'kafka', 'sqs']),
      receiver: z.string(),
      attempts: count.describe('since it was queued, or retried by hand'),
      error: z.string().describe('why the last one failed, or empty'),
    })
    .nullable(),
  result: JobResult.nullable(),
  file: JobFile.nullable(),
  starts_at: Time.nullable().describe('while it is pending: when it may start'),
  lease_ends_at: Time.nullable().describe('while it runs'),
  resting_since: Time.nullable(),
})
export type JobView = z.infer<typeof JobView>

/** `GET /jobs/:id/why`. */
export const WhyView = z.strictObject({
  id: Id,
  state: JobState,
  code: z.enum([...reasonCodes, 'running', 'finished']).describe('the main reason'),
  text: z.string().describe('the same for people'),
  also: z
    .array(z.strictObject({ code: z.enum(reasonCodes), text: z.string() }))
    .describe('what else holds, and would be the reason if the main one were not'),
  waiting: z
    .strictObject({
      room: z.string(),
      group: z.string().describe('the aggregation, or the receiver'),
      ahead: count.describe('jobs of the group before it'),
      pending: count,
      running: count,
      running_jobs: z.array(Id).describe('some of those that run'),
      limit: z.int(),
      paused: z.boolean(),
      held_until: Time.nullable(),
      host: z.string().nullable().describe('the origin that is slowed, and for which it waits'),
      rate: z.number().nullable().describe('jobs of the aggregation begun per second, at most'),
      starts_at: Time,
      retry: z.strictObject({ failed: count, of: count }),
      workers: count.describe('workers of the room that called lately'),
    })
    .nullable()
    .describe('null unless it is pending'),
})
export type WhyView = z.infer<typeof WhyView>
