import { access } from 'node:fs/promises'
import Router from '@koa/router'
import type { Queue } from '../../queue/queue.ts'

/**
 * `GET /hb`: whether a load balancer should send requests here. `GET /livez`: whether this process does anything at
 * all. `GET /readyz`: whether a job could be accepted now, tried by a write: a connection alone says little.
 */
export function healthRoutes(heartbeatPath: string | undefined, queue: Pick<Queue, 'probe'>): Router {
  return new Router()
    .get('/hb', async (ctx) => {
      const leaving =
        heartbeatPath !== undefined &&
        (await access(heartbeatPath).then(
          () => true,
          () => false,
        ))
      ctx.status = leaving ? 503 : 200
      ctx.body = leaving ? 'Service Unavailable' : 'OK'
    })
    .get('/livez', (ctx) => {
      ctx.body = 'OK'
    })
    .get('/readyz', async (ctx) => {
      await queue.probe()
      ctx.body = 'OK'
    })
}
