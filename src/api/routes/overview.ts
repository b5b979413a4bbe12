import Router from '@koa/router'
import type { RestReason } from '../../jobs/places.ts'
import type { Series } from '../../queue/series.ts'
import { type OverviewDeps, overviewOf } from '../overview.ts'
import { parseQuery } from '../query.ts'
import { type FailuresView, SpanQuery } from '../schemas/overview.ts'

export interface OverviewRouteDeps extends OverviewDeps {
  series: Pick<Series, 'points' | 'failures'>
  /** Most first. */
  restingTags: (reason: RestReason) => Promise<{ tag: string; count: number }[]>
}

const MOST = 500

/** `GET /overview`, `GET /series`, `GET /failures`: what the dashboard shows of the whole deployment. */
export function overviewRoutes(deps: OverviewRouteDeps): Router {
  const { series, restingTags } = deps
  const overview = overviewOf(deps)

  return new Router()
    .get('/overview', async (ctx) => {
      ctx.body = await overview()
    })
    .get('/series', async (ctx) => {
      const { stepMs, points } = await series.points(parseQuery(SpanQuery, ctx.query).span)
      ctx.body = {
        step_s: stepMs / 1000,
        points: points.map(({ atMs, values }) => ({ at: new Date(atMs).toISOString(), ...values })),
      }
    })
    .get('/failures', async (ctx) => {
      const [recent, failed, undelivered] = await Promise.all([
        series.failures(parseQuery(SpanQuery, ctx.query).span),
        restingTags('failed'),
        restingTags('callback-failed'),
      ])
      const view: FailuresView = {
        recent: recent.slice(0, MOST),
        at_rest: [
          ...named(failed, 'code:').map(([code, count]) => ({ state: 'failed' as const, code, count })),
          ...named(undelivered, 'code:').map(([code, count]) => ({ state: 'callback_failed' as const, code, count })),
        ].sort((a, b) => b.count - a.count),
        receivers: named(undelivered, 'to:')
          .slice(0, MOST)
          .map(([receiver, count]) => ({ receiver, count })),
      }
      ctx.body = view
    })
}

const named = (tags: { tag: string; count: number }[], kind: string): [string, number][] =>
  tags.filter(({ tag }) => tag.startsWith(kind)).map(({ tag, count }) => [tag.slice(kind.length), count])
