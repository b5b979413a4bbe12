import Router from '@koa/router'
import { Counter, Gauge, Registry } from 'prom-client'
import type { Books } from '../../queue/books.ts'

export interface MetricsDeps {
  /** How many jobs there are, by place. */
  books: () => Promise<Books>
}

/** `GET /metrics` in Prometheus' text format: what the deployment has in Redis, the same from every API process. */
export function metricsRoutes({ books }: MetricsDeps): Router {
  const registry = new Registry()
  const registers = [registry]
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `downloader_${name}`, help, labelNames, registers })
  const counter = (name: string, help: string) => new Counter({ name: `downloader_${name}`, help, registers })
  const accepted = counter('jobs_accepted_total', 'Jobs accepted, ever')
  const gone = counter('jobs_gone_total', 'Jobs that are over, and whose record is deleted, ever')
  const jobs = gauge('jobs', 'Jobs in a room, by state: pending or claimed', ['room', 'state'])
  const rest = gauge('jobs_at_rest', 'Jobs at rest, by reason', ['reason'])
  const hosts = gauge('hosts', 'Origin hosts: watched (in trouble within the last hour), open (down, nothing starts)', [
    'state',
  ])
  const unaccounted = gauge('jobs_unaccounted', 'Jobs that were accepted and are in no place: not 0 is an alarm')

  return new Router().get('/metrics', async (ctx) => {
    const now = await books()
    registry.resetMetrics()
    accepted.inc(now.accepted)
    gone.inc(now.gone)
    for (const { room, pending, claimed } of now.rooms) {
      jobs.set({ room, state: 'pending' }, pending)
      jobs.set({ room, state: 'claimed' }, claimed)
    }
    for (const [reason, count] of Object.entries(now.rest)) rest.set({ reason }, count)
    hosts.set({ state: 'watched' }, now.hosts.watched)
    hosts.set({ state: 'open' }, now.hosts.open)
    unaccounted.set(now.unaccounted)
    ctx.type = registry.contentType
    ctx.body = await registry.metrics()
  })
}
