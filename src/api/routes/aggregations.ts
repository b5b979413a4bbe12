import Router from '@koa/router'
import type { Aggregation, Aggregations } from '../../queue/aggregations.ts'
import { Problem } from '../problems.ts'
import { parseQuery } from '../query.ts'
import { readJson } from '../read-json.ts'
import { remembered } from '../remembered.ts'
import { AggregationQuery, type AggregationView, Amendment, EmptyQuery } from '../schemas/aggregation.ts'

export interface AggregationDeps {
  aggregations: Aggregations
  maxBodyBytes: number
}

const ORDERS = {
  pending: (a, b) => b.pending - a.pending,
  running: (a, b) => b.running - a.running,
  waiting: (a, b) => (a.waitingSinceMs ?? Number.MAX_VALUE) - (b.waitingSinceMs ?? Number.MAX_VALUE),
  failed: (a, b) => b.failed + b.callbackFailed - (a.failed + a.callbackFailed),
} satisfies Record<string, (a: Aggregation, b: Aggregation) => number>

/** Whoever wants the list in another order than by name within this time is told alike: it takes a look at them all. */
const FRESH_MS = 800
/** An answer comes within this time; what it did not come to is left for the next request. */
const EMPTY_MS = 10_000
const MAX_NAME = 1024

/** What runs and waits in each aggregation, and what operators set of it. */
export function aggregationRoutes({ aggregations, maxBodyBytes }: AggregationDeps): Router {
  const all = remembered(async () => aggregations.look((await aggregations.names()).sort()), FRESH_MS)

  async function view(aggrId: string): Promise<AggregationView> {
    const found = await aggregations.find(aggrId)
    if (!found) throw new Problem(404, `id: there is no aggregation ${JSON.stringify(aggrId.slice(0, 64))}`)
    return viewOf(found)
  }

  return new Router()
    .get('/aggregations', async (ctx) => {
      const { search, sort, offset, count } = parseQuery(AggregationQuery, ctx.query)
      const wanted = search.toLowerCase()
      const fitting = async () =>
        (await aggregations.names()).filter((name) => name.toLowerCase().includes(wanted)).sort()
      if (sort === 'aggr_id') {
        const names = await fitting()
        const page = await aggregations.look(names.slice(offset, offset + count))
        ctx.body = { aggregations: page.map(viewOf), total: names.length }
      } else {
        // only what orders them all needs to look at them all
        const found = wanted === '' ? await all.get() : await aggregations.look(await fitting())
        const page = [...found].sort(ORDERS[sort]).slice(offset, offset + count)
        ctx.body = { aggregations: page.map(viewOf), total: found.length }
      }
    })
    .get('/aggregations/:id', async (ctx) => {
      ctx.body = await view(ctx.params.id ?? '')
    })
    .patch('/aggregations/:id', async (ctx) => {
      const { id = '' } = ctx.params
      if (id.length > MAX_NAME) throw new Problem(400, `id: is longer than ${MAX_NAME} characters`)
      if (id.includes('\0')) throw new Problem(400, 'id: must not hold NUL')
      await aggregations.amend(id, Amendment.parse(await readJson(ctx.req, maxBodyBytes)))
      all.forget()
      // nothing may be left of it when everything was taken back
      const [found] = await aggregations.look([id])
      if (found) ctx.body = viewOf(found)
    })
    .delete('/aggregations/:id', async (ctx) => {
      const { id = '' } = ctx.params
      const { mode } = parseQuery(EmptyQuery, ctx.query)
      await view(id)
      const emptied = await aggregations.empty(id, mode === 'drop', AbortSignal.timeout(EMPTY_MS))
      all.forget()
      ctx.status = emptied.remaining > 0 ? 202 : 200
      ctx.body = { aggr_id: id, ...emptied }
    })
}

function viewOf(aggregation: Aggregation): AggregationView {
  const { aggrId, limit = null, rate = null, running, pending, settings, failed, callbackFailed } = aggregation
  const time = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString())
  return {
    aggr_id: aggrId,
    limit,
    rate,
    paused: settings.paused ?? false,
    running,
    pending,
    waiting_for_hosts: aggregation.waitingForHosts,
    waiting_since: time(aggregation.waitingSinceMs),
    held_until: time(aggregation.heldUntilMs),
    failed,
    callback_failed: callbackFailed,
    set: settings,
  }
}
