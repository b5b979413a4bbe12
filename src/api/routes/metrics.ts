import Router from '@koa/router'
import { Counter, Gauge, Registry } from 'prom-client'
import { failuresIn } from '../../failure-counts.ts'
import type { Books } from '../../queue/books.ts'
import type { Instances, Role } from '../../queue/instances.ts'

export interface MetricsDeps {
  /** How many jobs there are, by place. */
  books: () => Promise<Books>
  instances: Record<Role, Pick<Instances, 'each'>>
}

/** `GET /metrics` in Prometheus' text format: what the deployment has in Redis, the same from every API process. */
export function metricsRoutes({ books, instances }: MetricsDeps): Router {
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `downloader_${name}`, help, labelNames, registers })
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `downloader_${name}`, help, labelNames, registers })
  const accepted = counter('jobs_accepted_total', 'Jobs accepted, ever')
  const gone = counter('jobs_gone_total', 'Jobs that are over, and whose record is deleted, ever')
  const jobs = gauge('jobs', 'Jobs in a room, by state: pending or claimed', ['room', 'state'])
  const rest = gauge('jobs_at_rest', 'Jobs at rest, by reason', ['reason'])
  const unaccounted = gauge('jobs_unaccounted', 'Jobs that were accepted and are in no place: not 0 is an alarm')

  // By process, since only so a counter that is gone is not taken for one that began anew.
  const failures = counter(
    'failures_total',
    'Attempts that failed, by their code, in each live process since its start',
    ['process', 'code'],
  )

  return new Router().get('/metrics', async (ctx) => {
    const [now, processors, notifiers] = await Promise.all([
      books(),
      instances.processor.each(),
      instances.notifier.each(),
    ])
    registry.resetMetrics()
    accepted.inc(now.accepted)
    gone.inc(now.gone)
    for (const { room, pending, claimed } of now.rooms) {
      jobs.set({ room, state: 'pending' }, pending)
      jobs.set({ room, state: 'claimed' }, claimed)
    }
    for (const [reason, count] of Object.entries(now.rest)) rest.set({ reason }, count)
    unaccounted.set(now.unaccounted)
    for (const [process, stats] of [...processors, ...notifiers]) {
      for (const [code, count] of failuresIn(stats)) failures.inc({ process, code }, count)
    }
    ctx.type = registry.contentType
    ctx.body = await registry.metrics()
  })
}
