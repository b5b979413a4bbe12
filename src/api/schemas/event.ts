import { z } from 'zod'
import { jobEvents } from '../../jobs/event.ts'

const text = z.string().min(1)

export const EventQuery = z.object({
  job_id: text.optional(),
  aggr_id: text.optional().describe('once the callback is queued, jobs are grouped by receiver: filter by job_id then'),
  event: z.enum(jobEvents, `must be one of ${jobEvents.join(', ')}`).optional(),
})
export type EventQuery = z.infer<typeof EventQuery>
