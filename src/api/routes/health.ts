import { access } from 'node:fs/promises'
import Router from '@koa/router'

/** `GET /hb`: whether a load balancer should send requests here. */
export function healthRoutes(heartbeatPath: string | undefined): Router {
  return new Router().get('/hb', async (ctx) => {
    const leaving =
      heartbeatPath !== undefined &&
      (await access(heartbeatPath).then(
        () => true,
        () => false,
      ))
    ctx.status = leaving ? 503 : 200
    ctx.body = leaving ? 'Service Unavailable' : 'OK'
  })
}
