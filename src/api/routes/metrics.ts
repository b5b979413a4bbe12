import Router from '@koa/router'
import { Registry } from 'prom-client'
import { failuresIn } from '../../failure-counts.ts'
import { newMetrics } from '../../metrics/metrics.ts'
import type { Books } from '../../queue/books.ts'
import type { Instances, Role } from '../../queue/instances.ts'
import { RedisUnavailable } from '../../queue/redis.ts'

export interface MetricsDeps {
  /** How many jobs there are, by place. */
  books: () => Promise<Books>
  /** For how many ms the oldest job of each room waits that could start now. */
  waits: () => Promise<Map<string, number>>
  instances: Record<Role, Pick<Instances, 'each'>>
  /** How this process is. */
  processRegistry: Registry
}

/**
 * `GET /metrics` in Prometheus' text format: what the deployment has in Redis, the same from every API process, and how
 * this process is, which is told also while Redis is away.
 */
export function metricsRoutes({ books, waits, instances, processRegistry }: MetricsDeps): Router {
  const { registry, counter, gauge } = newMetrics()
  const accepted = counter('jobs_accepted_total', 'Jobs accepted, ever')
  const gone = counter('jobs_gone_total', 'Jobs that are over, and whose record is deleted, ever')
  const jobs = gauge('jobs', 'Jobs in a room, by state: pending or claimed', ['room', 'state'])
  const rest = gauge('jobs_at_rest', 'Jobs at rest, by reason', ['reason'])
  const oldest = gauge('oldest_wait_seconds', 'For how long the oldest job waits that could start now', ['room'])
  const hosts = gauge('hosts', 'Origin hosts: watched (in trouble within the last hour), open (down, nothing starts)', [
    'state',
  ])
  const unaccounted = gauge('jobs_unaccounted', 'Jobs that were accepted and are in no place: not 0 is an alarm')

  // By process, since only so a counter that is gone is not taken for one that began anew.
  const failures = counter(
    'failures_total',
    'Attempts that failed, by their code, in each live process since its start',
    ['process', 'code'],
  )

  return new Router().get('/metrics', async (ctx) => {
    const there = await look().catch((error: unknown) => {
      if (error instanceof RedisUnavailable) return false
      throw error
    })
    const told = there ? Registry.merge([registry, processRegistry]) : processRegistry
    ctx.type = told.contentType
    ctx.body = await told.metrics()
  })

  async function look(): Promise<true> {
    const [now, waiting, processors, notifiers] = await Promise.all([
      books(),
      waits(),
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
    hosts.set({ state: 'watched' }, now.hosts.watched)
    hosts.set({ state: 'open' }, now.hosts.open)
    unaccounted.set(now.unaccounted)
    for (const [room, ms] of waiting) oldest.set({ room }, ms / 1000)
    for (const [process, stats] of [...processors, ...notifiers]) {
      for (const [code, count] of failuresIn(stats)) failures.inc({ process, code }, count)
    }
    return true
  }
}
