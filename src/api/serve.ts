import { randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { CallbackType } from '../jobs/job.ts'
import type { Log } from '../log.ts'
import { newMetrics } from '../metrics/metrics.ts'
import { processMetrics } from '../metrics/process-metrics.ts'
import type { Guards } from '../net/address-guard.ts'
import { resolver } from '../net/resolver.ts'
import { aggregationsOf } from '../queue/aggregations.ts'
import { booksOf } from '../queue/books.ts'
import { durableWrites } from '../queue/durable.ts'
import { eventsOf } from '../queue/events.ts'
import { instancesOf, type Role } from '../queue/instances.ts'
import { type Horizons, jobsOf } from '../queue/jobs.ts'
import { keysOf } from '../queue/keys.ts'
import { listingOf } from '../queue/listing.ts'
import { queueOf } from '../queue/queue.ts'
import { allPromptly, connect, promptly } from '../queue/redis.ts'
import type { RedisConfig } from '../queue/redis-config.ts'
import { restingTags } from '../queue/resting-tags.ts'
import { retryingOf } from '../queue/retrying.ts'
import { seriesOf } from '../queue/series.ts'
import { waitsOf } from '../queue/waits.ts'
import { reporting } from '../reporting.ts'
import type { Tracer } from '../tracing/tracer.ts'
import { app } from './app.ts'
import type { ApiConfig } from './config.ts'

export interface ServeOptions {
  redis: RedisConfig
  api: ApiConfig
  backends: CallbackType[]
  /** As the processors and notifiers of the deployment have them. */
  guards: Guards
  horizons: Horizons
  /** Base of the files' URLs, or `""`. */
  downloadUrl: string
  /** Of this software. */
  version: string
  tracer: Tracer | undefined
  /** How long requests under way may take once `stop` aborts. */
  graceMs: number
  log: Log
  /** Called with the address when requests are taken. */
  onListening?: (url: string) => void
}

const REPORT_MS = 5000

/** Runs the HTTP API until `stop` aborts; then finishes what is under way. */
export async function serve(options: ServeOptions, stop: AbortSignal): Promise<void> {
  const { api, log } = options
  const redis = connect(options.redis, 'impatient', log)
  const names = resolver()
  const keys = keysOf(options.redis.key_prefix)
  const queue = queueOf(redis, keys, durableWrites(redis, options.redis), api.max_queued_jobs)
  const jobs = jobsOf(redis, keys, queue)
  const subscriber = connect(options.redis, 'patient', log)
  const events = eventsOf(redis, subscriber, keys, log)
  const listing = listingOf(redis, keys)
  const instances = (role: Role) => allPromptly(redis, instancesOf(redis, keys, role))
  const metrics = newMetrics()
  const health = processMetrics(metrics, () => redis.ping())
  const koa = app({
    queue: allPromptly(redis, queue),
    jobs: allPromptly(redis, jobs),
    listing: allPromptly(redis, listing),
    retrying: allPromptly(redis, retryingOf(redis, keys, queue, listing)),
    aggregations: allPromptly(redis, aggregationsOf(redis, keys, jobs)),
    books: () => promptly(redis, () => booksOf(redis, keys)),
    waits: () => promptly(redis, () => waitsOf(redis, keys)),
    processRegistry: metrics.registry,
    tracer: options.tracer,
    instances: { api: instances('api'), processor: instances('processor'), notifier: instances('notifier') },
    series: allPromptly(redis, seriesOf(redis, keys)),
    restingTags: (reason) => promptly(redis, () => restingTags(redis, keys, reason)),
    events,
    stop,
    horizons: options.horizons,
    downloadUrl: options.downloadUrl,
    version: options.version,
    backends: options.backends,
    guards: options.guards,
    resolver: names,
    maxBodyBytes: api.max_body_bytes,
    maxBatchBytes: api.max_batch_bytes,
    heartbeatPath: api.heartbeat_path || undefined,
    tokens: api.tokens,
    log,
  })
  const report = reporting({
    instances: instances('api'),
    instance: randomBytes(6).toString('base64url'),
    version: options.version,
    concurrency: 0,
    snapshot: () => ({}),
    everyMs: REPORT_MS,
    log,
  })
  const limits = {
    headersTimeout: Math.min(api.request_timeout_ms, 10_000),
    requestTimeout: api.request_timeout_ms,
    connectionsCheckingInterval: 1000,
    keepAliveTimeout: 65_000, // longer than the idle time of the usual load balancers (60 s)
  }
  const handle = koa.callback()
  const servers = hostsOf(api.host).map(() =>
    createServer(limits, (request, response) => void handle(request, response)),
  )
  try {
    const url = await listen(servers, hostsOf(api.host), api.port)
    log.info({ url }, 'listening')
    options.onListening?.(url)
    await aborted(stop)
  } finally {
    await Promise.all(servers.map((server) => close(server, options.graceMs)))
    health.close()
    await report.close()
    names.close()
    events.close()
    redis.disconnect()
    subscriber.disconnect()
  }
}

/** Node may bind `localhost` to ::1 only, and clients try 127.0.0.1 first. */
const hostsOf = (host: string): string[] => (host === 'localhost' ? ['127.0.0.1', '::1'] : [host])

async function listen(servers: Server[], hosts: string[], port: number): Promise<string> {
  const [first, ...others] = servers
  if (!first) throw new Error('no host to listen on')
  await bind(first, hosts[0] ?? '', port)
  const address = first.address() as AddressInfo
  for (const [i, server] of others.entries()) {
    // a machine without IPv6 has no ::1
    await bind(server, hosts[i + 1] ?? '', address.port).catch(() => {})
  }
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
  return `http://${host}:${address.port}`
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

async function close(server: Server, graceMs: number): Promise<void> {
  if (!server.listening) return
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const timer = setTimeout(() => server.closeAllConnections(), graceMs)
  await closed
  clearTimeout(timer)
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
