import Router from '@koa/router'
import { isJobId } from '../../jobs/job.ts'
import type { Events } from '../../queue/events.ts'
import type { Queue } from '../../queue/queue.ts'
import { Problem } from '../problems.ts'

/**
 * `POST /retry/:job_id`: a callback that has failed is queued again; and a download that has, where nobody was to be called
 * back.
 */
export function callbackRoutes(queue: Pick<Queue, 'wake'>, events: Pick<Events, 'tell'>): Router {
  async function retry(id: string): Promise<Awaited<ReturnType<Queue['wake']>>> {
    const reply = await queue.wake(id, 'callback-failed', { kind: 'retried-by-hand' })
    return reply === 'absent' ? queue.wake(id, 'failed', { kind: 'downloaded-again', delayMs: 0 }) : reply
  }

  return new Router().post('/retry/:job_id', async (ctx) => {
    const id = ctx.params.job_id ?? ''
    const reply = isJobId(id) ? await retry(id) : 'unknown'
    if (reply === 'unknown') throw new Problem(404, `job_id: there is no job ${JSON.stringify(id.slice(0, 64))}`)
    if (reply === 'absent') throw new Problem(409, `job_id: ${id} has not failed for good`)
    events.tell({ id, event: 'retried', room: '', group: '' })
    ctx.status = 201
    ctx.body = { id }
  })
}
