import Router from '@koa/router'
import { isJobId } from '../../jobs/job.ts'
import type { Events } from '../../queue/events.ts'
import type { Horizons, Jobs, Sighting } from '../../queue/jobs.ts'
import { RedisUnavailable } from '../../queue/redis.ts'
import { Problem } from '../problems.ts'
import { parseQuery } from '../query.ts'
import { DeleteQuery } from '../schemas/job.ts'
import { askAgainAfterS, jobView, whyView } from '../views.ts'

/** A job that moves while it is asked why it waits is looked at again, as often. */
const LOOKS = 4

export interface JobDeps {
  jobs: Pick<Jobs, 'look' | 'why' | 'cancel'>
  horizons: Horizons
  /** Base of the files' URLs, or `""`. */
  downloadUrl: string
  events: Pick<Events, 'tell'>
}

/** `GET /jobs/:id`: how far a job is. `GET /jobs/:id/why`: what it waits for. `DELETE /jobs/:id`: cancels it, or deletes it. */
export function jobRoutes({ jobs, horizons, downloadUrl, events }: JobDeps): Router {
  async function find(id: string): Promise<Sighting> {
    const sighting = isJobId(id) ? await jobs.look(id) : undefined
    if (!sighting) throw unknownJob(id)
    return sighting
  }

  return new Router()
    .get('/jobs/:id', async (ctx) => {
      const sighting = await find(ctx.params.id ?? '')
      const seconds = askAgainAfterS(sighting)
      if (seconds !== undefined) ctx.set('Retry-After', String(seconds))
      ctx.body = jobView(sighting, downloadUrl)
    })
    .get('/jobs/:id/why', async (ctx) => {
      for (let looks = 1; looks <= LOOKS && !ctx.body; looks++) {
        const sighting = await find(ctx.params.id ?? '')
        const waiting = await jobs.why(sighting, horizons)
        if (waiting || sighting.where.kind !== 'pending') ctx.body = whyView(sighting, waiting)
      }
      if (!ctx.body) throw new RedisUnavailable('the job moves faster than it can be looked at')
    })
    .delete('/jobs/:id', async (ctx) => {
      const { id = '' } = ctx.params
      const { over } = parseQuery(DeleteQuery, ctx.query)
      const state = isJobId(id) ? await jobs.cancel(id, over) : 'unknown'
      if (state === 'unknown') throw unknownJob(id)
      if (state === 'awaited') throw new Problem(409, `id: ${id} is not over: its download or its callback is to come`)
      // what runs is told of by whoever stops it
      if (state !== 'cancelling') events.tell({ id, event: 'cancelled', room: '', group: '' })
      ctx.status = state === 'cancelled' ? 200 : 202
      ctx.body = { id, state }
    })
}

export const unknownJob = (id: string) => new Problem(404, `id: there is no job ${JSON.stringify(id.slice(0, 64))}`)
