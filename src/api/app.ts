import Koa from 'koa'
import type { Log } from '../log.ts'
import type { Queue } from '../queue/queue.ts'
import { wantToken } from './auth.ts'
import { answerProblems } from './problems.ts'
import { type AggregationDeps, aggregationRoutes } from './routes/aggregations.ts'
import { callbackRoutes } from './routes/callbacks.ts'
import { dashboardRoutes } from './routes/dashboard.ts'
import { docsRoutes } from './routes/docs.ts'
import { type DownloadDeps, downloadRoutes } from './routes/downloads.ts'
import { type EventDeps, eventRoutes } from './routes/events.ts'
import { healthRoutes } from './routes/health.ts'
import { type JobDeps, jobRoutes } from './routes/jobs.ts'
import { type ListDeps, listRoutes } from './routes/list.ts'
import { loginPaths, loginRoutes } from './routes/login.ts'
import { type MetricsDeps, metricsRoutes } from './routes/metrics.ts'
import { type OverviewRouteDeps, overviewRoutes } from './routes/overview.ts'
import { type StatsDeps, statsRoutes } from './routes/stats.ts'
import { refuseOtherSites } from './same-origin.ts'
import { sessionsOf } from './sessions.ts'

export interface AppDeps
  extends Omit<DownloadDeps, 'queue' | 'events'>,
    Omit<StatsDeps, 'queue' | 'instances'>,
    Omit<OverviewRouteDeps, 'instances'>,
    Omit<MetricsDeps, 'instances'>,
    Omit<JobDeps, 'events'>,
    AggregationDeps,
    ListDeps,
    EventDeps {
  queue: Queue
  instances: StatsDeps['instances'] & OverviewRouteDeps['instances'] & MetricsDeps['instances']
  /** Of this software. */
  version: string
  heartbeatPath: string | undefined
  tokens: string[] | undefined
  log: Log
}

/** The HTTP API. It owns nothing: whoever built `deps` closes it. */
export function app(deps: AppDeps): Koa {
  const koa = new Koa()
  // What ends here could not be answered any more: a client that went away, a stream that broke.
  koa.on('error', (error: Error) => deps.log.debug({ error: error.message }, 'a response was cut off'))
  koa.use(async (ctx, next) => {
    ctx.set('X-Content-Type-Options', 'nosniff')
    ctx.set('X-Frame-Options', 'DENY')
    ctx.set('Referrer-Policy', 'no-referrer')
    await next()
  })
  koa.use(answerProblems(deps.log))
  koa.use(refuseOtherSites())
  const sessions = deps.tokens && sessionsOf(deps.tokens)
  if (sessions) koa.use(wantToken(sessions, ['/hb', '/livez', '/readyz', ...loginPaths]))
  for (const router of [
    downloadRoutes(deps),
    callbackRoutes(deps.queue, deps.events),
    listRoutes(deps),
    jobRoutes(deps),
    aggregationRoutes(deps),
    eventRoutes(deps),
    healthRoutes(deps.heartbeatPath, deps.queue),
    metricsRoutes(deps),
    statsRoutes(deps),
    overviewRoutes(deps),
    docsRoutes(deps.version),
    loginRoutes(sessions),
    dashboardRoutes(),
  ]) {
    koa.use(router.routes())
  }
  return koa
}
