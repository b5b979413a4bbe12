import Router from '@koa/router'
import { downloadsRoom } from '../../jobs/places.ts'
import type { Instances, Role } from '../../queue/instances.ts'
import type { Queue } from '../../queue/queue.ts'
import { Problem } from '../problems.ts'

export interface StatsDeps {
  queue: Pick<Queue, 'groups'>
  instances: Record<Role, Pick<Instances, 'sum'>>
}

/** What runs now: live instances and their counters, and the aggregations that have pending jobs. */
export function statsRoutes({ queue, instances }: StatsDeps): Router {
  return new Router()
    .get('/stats/:role', async (ctx) => {
      const { role = '' } = ctx.params
      const sum = role === 'processor' || role === 'notifier' ? await instances[role].sum() : undefined
      if (!sum) throw new Problem(404, `no ${JSON.stringify(role.slice(0, 64))} is alive`)
      ctx.body = sum
    })
    .get('/dashboard/aggregations', async (ctx) => {
      const groups = await queue.groups(downloadsRoom)
      ctx.body = groups.map(({ group, pending }) => ({ name: `jobs:${group}`, size: pending }))
    })
}
