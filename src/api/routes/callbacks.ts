import Router from '@koa/router'
import { isJobId } from '../../jobs/job.ts'
import type { Events } from '../../queue/events.ts'
import type { Queue } from '../../queue/queue.ts'
import { Problem } from '../problems.ts'

/** `POST /retry/:job_id`: a callback that has failed is queued again. */
export function callbackRoutes(queue: Pick<Queue, 'wake'>, events: Pick<Events, 'tell'>): Router {
  return new Router().post('/retry/:job_id', async (ctx) => {
    const id = ctx.params.job_id ?? ''
    const reply = isJobId(id) ? await queue.wake(id, 'callback-failed', { kind: 'retried-by-hand' }) : 'unknown'
    if (reply === 'unknown') throw new Problem(404, `job_id: there is no job ${JSON.stringify(id.slice(0, 64))}`)
    if (reply === 'absent') throw new Problem(409, `job_id: the callback of ${id} has not failed`)
    events.tell({ id, event: 'retried', room: '', group: '' })
    ctx.status = 201
    ctx.body = { id }
  })
}
