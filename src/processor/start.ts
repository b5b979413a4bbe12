import { access, constants, mkdir } from 'node:fs/promises'
import os from 'node:os'
import { deletionsRoom, downloadsRoom } from '../jobs/places.ts'
import type { Log } from '../log.ts'
import { newMetrics } from '../metrics/metrics.ts'
import { startMonitor } from '../metrics/monitor.ts'
import { processMetrics } from '../metrics/process-metrics.ts'
import { KEEP_MS, seldom } from '../metrics/readiness.ts'
import { workerMetrics } from '../metrics/worker-metrics.ts'
import { addressGuard } from '../net/address-guard.ts'
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
import { callerBuckets } from '../storage/caller-buckets.ts'
import type { FileStorageConfig } from '../storage/config.ts'
import { storageFor } from '../storage/storage-for.ts'
import { tally } from '../tally.ts'
import type { Tracer } from '../tracing/tracer.ts'
import { work } from '../worker.ts'
import { attempt } from './attempt.ts'
import type { ProcessorConfig } from './config.ts'
import { type DiskGuard, diskGuard } from './disk-guard.ts'
import { logAttempt, traceAttempt } from './ended-attempt.ts'
import { expire } from './expire.ts'
import { fetcher } from './fetch/fetcher.ts'
import { processorMetrics } from './metrics.ts'
import { partials } from './partials.ts'
import { DELETIONS, deleting, downloading } from './processor.ts'
import { processorStats } from './stats.ts'
import { storing } from './storing.ts'
import { instanceName, tempFiles } from './temp-files.ts'
import { mimeDetector } from './verify/mime-detector.ts'

export interface ProcessorOptions {
  redis: RedisConfig
  processor: ProcessorConfig
  /** Of this software. */
  version: string
  /** Whether the log has the queries of URLs. */
  urlQueries: boolean
  tracer: Tracer | undefined
  log: Log
}

const SWEEP_EVERY_MS = 60_000
const DAY_MS = 86_400_000
/** A report and a temporary file of a process that lives are never older than this. */
const MIN_TEMP_AGE_MS = 120_000

/** Runs a processor until `stop` aborts: downloads, deletions, and the sweeping of what others left behind. */
export async function runProcessor(
  { redis: where, processor, version, urlQueries, tracer, log }: ProcessorOptions,
  stop: AbortSignal,
): Promise<void> {
  const { filestorage, storageDir } = folders(processor)
  const redis = connect(where, 'patient', log)
  const subscriber = connect(where, 'patient', log)
  const keys = keysOf(where.key_prefix)
  const queue = queueOf(redis, keys)
  const instances = instancesOf(redis, keys, 'processor')
  const instance = instanceName()
  const events = eventsOf(redis, subscriber, keys, log)
  const stats = processorStats()
  const counts = tally()

  const storage = storageFor(filestorage)
  const buckets = callerBuckets(filestorage)
  const names = resolver()
  const guard = addressGuard('downloads', processor.allow_networks, processor.allow_ports)
  const fetch = fetcher({ config: processor, guard, resolver: names })
  const mime = mimeDetector(log)
  const temp = tempFiles({ dir: storageDir, instance, minAgeMs: MIN_TEMP_AGE_MS, alive: () => instances.names() })
  const partial = partials({
    files: temp,
    isWanted: async (id) => {
      const job = await queue.find(id)
      return job?.request !== undefined && job.result === undefined
    },
    resume: processor.resume,
  })
  await temp.prepare()
  const dirs = filestorage.type === 'filesystem' ? [storageDir, filestorage.rootdir] : [storageDir]
  const { disk_high: high, disk_low: low = Math.min(90, high) } = processor
  const disk = diskGuard({ dirs, high, low, log })
  await disk.look()

  const metrics = newMetrics()
  const counted = processorMetrics(metrics, {
    running: stats.running,
    diskUsedRatio: disk.usedRatio,
    diskHasRoom: disk.hasRoom,
  })
  const rooms = { downloads: downloadsRoom, deletions: deletionsRoom(storage.name) }
  const atWork = workerMetrics(metrics, Object.values(rooms))
  const health = processMetrics(metrics, () => redis.ping())
  const monitor = await startMonitor({
    host: processor.metrics_host,
    port: processor.metrics_port,
    registry: metrics.registry,
    checks: {
      all: {
        redis: queue.probe,
        disk: async () => mustHaveRoom(disk),
        folders: () => mustBeWritable(dirs),
        ...(storage.probe && { storage: seldom(storage.probe, KEEP_MS) }),
      },
    },
    log,
  })
  const said = logAttempt(log, urlQueries)
  const traced = tracer && traceAttempt(tracer)

  const report = reporting({
    instances,
    instance,
    version,
    concurrency: processor.concurrency,
    snapshot: stats.snapshot,
    diskFull: () => !disk.hasRoom(),
    series: { tally: counts, write: seriesOf(redis, keys).write },
    everyMs: processor.stats_interval,
    log,
  })
  const sweep = () =>
    Promise.all([
      partial.sweep(!disk.hasRoom()),
      storage.sweep?.(),
      expire(queue, processor.rest_ttl_days * DAY_MS, storage.name, stop),
    ]).catch((error) => log.warn({ error: String(error) }, 'sweeping failed'))
  void sweep()
  const sweeping = setInterval(() => void sweep(), SWEEP_EVERY_MS)

  const download = downloading({
    attempt: attempt({
      fetcher: fetch,
      partials: partial,
      mime,
      store: storing(storage, buckets),
      maxBytes: processor.max_bytes,
      maxPixels: processor.max_pixels,
      log,
    }),
    drop: partial.drop,
    storage: storage.name,
    maxRetries: processor.max_retries,
    retryBackoffMs: processor.retry_backoff_ms,
    maxStalls: processor.max_stalls,
    stats,
    ended: (attempt) => {
      said(attempt)
      counted.attempted(attempt)
      traced?.(attempt)
    },
    log,
  })
  const room = (name: string, groupLimit: number, hostLimit = 0) =>
    roomOf(redis, subscriber, keys, { name, leaseMs: processor.lease_ms, groupLimit, hostLimit }, log)
  const graceMs = processor.shutdown_grace_ms
  log.info({ instance, storage: storage.name, storage_dir: storageDir }, 'processor started')
  try {
    await Promise.all([
      work(
        {
          rooms: [room(rooms.downloads, 0, processor.host_limit)],
          run: counts.counted(download),
          concurrency: processor.concurrency,
          graceMs,
          mayClaim: disk.hasRoom,
          tell: events.tell,
          metrics: atWork,
          log,
        },
        stop,
      ),
      work(
        {
          rooms: [room(rooms.deletions, DELETIONS)],
          run: deleting(storage, stats, log),
          concurrency: DELETIONS,
          graceMs,
          tell: events.tell,
          metrics: atWork,
          log,
        },
        stop,
      ),
    ])
  } finally {
    clearInterval(sweeping)
    disk.close()
    health.close()
    await monitor.close()
    await Promise.race([report.close(), new Promise((resolve) => setTimeout(resolve, 1000).unref())])
    await Promise.all([fetch.close(), mime.close(), storage.close(), buckets.close()])
    names.close()
    events.close()
    redis.disconnect()
    subscriber.disconnect()
    log.info({ instance }, 'processor stopped')
  }
}

function mustHaveRoom(disk: DiskGuard): void {
  if (!disk.hasRoom()) throw new Error('it is nearly full: no downloads are started')
}

async function mustBeWritable(dirs: string[]): Promise<void> {
  for (const dir of dirs) {
    await mkdir(dir, { recursive: true })
    await access(dir, constants.W_OK | constants.X_OK)
  }
}

/** `storage_dir` alone is also the root of the files, as in the original. */
function folders({ filestorage, storage_dir }: ProcessorConfig): {
  filestorage: FileStorageConfig
  storageDir: string
} {
  const storageDir = storage_dir ?? os.tmpdir()
  if (filestorage) return { filestorage, storageDir }
  if (!storage_dir) throw new Error('processor.filestorage: is required')
  return { filestorage: { type: 'filesystem', rootdir: storage_dir }, storageDir }
}
