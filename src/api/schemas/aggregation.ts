import { z } from 'zod'
import { MIN_RATE } from '../../jobs/places.ts'
import { Count, Offset } from '../query.ts'
import { Time } from './job.ts'

const count = z.int().min(0)
const limit = z
  .int('must be an integer of at least 1')
  .min(1, 'must be an integer of at least 1')
  .max(2 ** 31 - 1)
const burst = z.int('must be an integer of at least 1').min(1, 'must be an integer of at least 1').max(1_000_000)
const rate = z
  .number('must be a number above 0')
  .positive('must be a number above 0')
  .min(MIN_RATE, `must be at least ${MIN_RATE}`)
  .max(1_000_000)
const paused = z.boolean('must be true or false')

export const AggregationView = z.strictObject({
  aggr_id: z.string(),
  limit: limit.nullable().describe('null while neither a job nor an operator says'),
  rate: rate.nullable().describe('jobs begun per second, at most'),
  paused,
  running: count,
  pending: count,
  waiting_for_hosts: count.describe('those of them whose origin is slowed'),
  waiting_since: Time.nullable().describe('since when the first of its jobs waits that could start'),
  held_until: Time.nullable().describe('an origin asked for this (`Retry-After`)'),
  failed: count.describe('failed jobs at rest'),
  callback_failed: count.describe('failed callbacks at rest'),
  set: z
    .strictObject({ limit, rate, burst, paused })
    .partial()
    .describe('what an operator set, which wins over what its jobs bring'),
})
export type AggregationView = z.infer<typeof AggregationView>

export const AggregationList = z.strictObject({
  aggregations: z.array(AggregationView),
  total: count.describe('with the same search, on all pages'),
})

export const AggregationQuery = z.object({
  search: z.string().default('').describe('a part of the name, in any case'),
  sort: z.enum(['aggr_id', 'pending', 'running', 'waiting', 'failed']).default('aggr_id'),
  offset: Offset,
  count: Count,
})

/** `PATCH /aggregations/:id`. */
export const Amendment = z
  .strictObject(
    {
      limit: limit.nullable().optional(),
      rate: rate.nullable().optional(),
      burst: burst.nullable().optional(),
      paused: paused.nullable().optional(),
    },
    {
      error: ({ code }) =>
        code === 'invalid_type' ? 'must be a JSON object with limit, rate, burst or paused' : undefined,
    },
  )
  .refine(
    (amendment) => Object.keys(amendment).length > 0,
    'nothing to change: limit, rate, burst or paused is expected',
  )

export const EmptyQuery = z.object({
  mode: z
    .enum(['drain', 'drop'])
    .default('drain')
    .describe('`drain`: what runs comes to its end; `drop`: it is cancelled, too'),
})
export const EmptiedView = z.strictObject({
  aggr_id: z.string(),
  cancelled: count.describe('jobs that were pending'),
  running: count.describe('jobs that run, or are about to stop'),
  remaining: count.describe('jobs still pending: repeat the request'),
})
