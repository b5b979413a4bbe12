import { randomBytes } from 'node:crypto'
import type { CallbackType } from '../jobs/job.ts'
import { callbacksRoom } from '../jobs/places.ts'
import type { Log } from '../log.ts'
import { newMetrics } from '../metrics/metrics.ts'
import { startMonitor } from '../metrics/monitor.ts'
import { processMetrics } from '../metrics/process-metrics.ts'
import { type Check, KEEP_MS, seldom } from '../metrics/readiness.ts'
import { workerMetrics } from '../metrics/worker-metrics.ts'
import { addressGuard } from '../net/address-guard.ts'
import { guardedAgent } from '../net/agent.ts'
import { resolver } from '../net/resolver.ts'
import { eventsOf } from '../queue/events.ts'
import { instancesOf } from '../queue/instances.ts'
import { keysOf } from '../queue/keys.ts'
import { queueOf } from '../queue/queue.ts'
import { connect } from '../queue/redis.ts'
import type { RedisConfig } from '../queue/redis-config.ts'
import { roomOf } from '../queue/room.ts'
import { seriesOf } from '../queue/series.ts'
import { reporting } from '../reporting.ts'
import { tally } from '../tally.ts'
import type { Tracer } from '../tracing/tracer.ts'
import { work } from '../worker.ts'
import type { Backend } from './backends/backend.ts'
import { createBackends } from './backends/backends.ts'
import type { BackendsConfig } from './backends/config.ts'
import type { NotifierConfig } from './config.ts'
import { logDelivery, traceDelivery } from './ended-delivery.ts'
import { notifierMetrics } from './metrics.ts'
import { delivering } from './notifier.ts'
import { notifierStats } from './stats.ts'

export interface NotifierOptions {
  redis: RedisConfig
  notifier: NotifierConfig
  backends: BackendsConfig
  downloadUrl: string
  tracer: Tracer | undefined
  /** Of this software. */
  version: string
  log: Log
}

const CONNECT_TIMEOUT_MS = 5000
const MINUTE_MS = 60_000

/** Runs a notifier until `stop` aborts: calls back over every backend that is configured. */
export async function runNotifier(options: NotifierOptions, stop: AbortSignal): Promise<void> {
  const { notifier, tracer, log } = options
  const redis = connect(options.redis, 'patient', log)
  const subscriber = connect(options.redis, 'patient', log)
  const keys = keysOf(options.redis.key_prefix)
  const instances = instancesOf(redis, keys, 'notifier')
  const instance = randomBytes(6).toString('base64url')
  const events = eventsOf(redis, subscriber, keys, log)
  const stats = notifierStats()
  const counts = tally()
  const concurrency = notifier.max_in_flight ?? 8 * notifier.concurrency

  // Callbacks go to the operators' own services: only addresses that no service has are refused.
  const names = resolver()
  const guard = addressGuard('callbacks', notifier.allow_networks)
  const agent = guardedAgent({ guard, resolver: names, connectTimeoutMs: CONNECT_TIMEOUT_MS })
  const backends = createBackends(options.backends, { dispatcher: agent, log })
  const types = Object.keys(backends) as CallbackType[]
  const groupLimit = notifier.receiver_concurrency ?? notifier.concurrency
  const rooms = types.map((type) =>
    roomOf(redis, subscriber, keys, { name: callbacksRoom(type), leaseMs: notifier.lease_ms, groupLimit }, log),
  )

  const metrics = newMetrics()
  const counted = notifierMetrics(metrics, types)
  const atWork = workerMetrics(metrics, types.map(callbacksRoom))
  const health = processMetrics(metrics, () => redis.ping())
  const monitor = await startMonitor({
    host: notifier.metrics_host,
    port: notifier.metrics_port,
    registry: metrics.registry,
    checks: { all: { redis: queueOf(redis, keys).probe }, any: probesOf(backends) },
    log,
  })
  const said = logDelivery(log)

  const report = reporting({
    instances,
    instance,
    version: options.version,
    concurrency,
    snapshot: stats.snapshot,
    series: { tally: counts, write: seriesOf(redis, keys).write },
    everyMs: notifier.stats_interval,
    log,
  })
  const deliver = delivering({
    backends,
    downloadUrl: options.downloadUrl,
    maxRetries: notifier.max_retries,
    retryBackoffMs: notifier.retry_backoff_ms,
    maxStalls: notifier.max_stalls,
    deletionDelayMs: Math.round(notifier.deletion_interval * MINUTE_MS),
    stats,
    tracer,
    ended: (delivery) => {
      said(delivery)
      counted.delivered(delivery)
      traceDelivery(delivery)
    },
    log,
  })
  log.info({ instance, backends: types }, 'notifier started')
  try {
    await work(
      {
        rooms,
        run: counts.counted(deliver),
        concurrency,
        graceMs: notifier.shutdown_grace_ms,
        tell: events.tell,
        metrics: atWork,
        log,
      },
      stop,
    )
  } finally {
    health.close()
    await monitor.close()
    await Promise.race([report.close(), new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    await Promise.all(Object.values(backends).map((backend) => backend.close()))
    await agent.destroy()
    names.close()
    events.close()
    redis.disconnect()
    subscriber.disconnect()
    log.info({ instance }, 'notifier stopped')
  }
}

/** A backend without a probe depends on nothing but the receivers that jobs name. */
function probesOf(backends: Partial<Record<CallbackType, Backend>>): Record<string, Check> {
  const probes = Object.entries(backends).map(([type, { probe }]): [string, Check] => {
    return [type, probe ? seldom(probe, KEEP_MS) : async () => {}]
  })
  return Object.fromEntries(probes)
}
