import os from 'node:os'
import type { Log } from './log.ts'
import type { About, Instances, Stats } from './queue/instances.ts'
import type { Series } from './queue/series.ts'
import type { Tally } from './tally.ts'

export interface ReportingOptions {
  instances: Pick<Instances, 'report' | 'retire'>
  /** Of this process, unique. */
  instance: string
  /** Of this software. */
  version: string
  /** Jobs at once, at most; 0 where there are none. */
  concurrency: number
  snapshot: () => Stats
  /** Of a processor: whether it begins nothing for want of room. */
  diskFull?: () => boolean
  /** What happened, and where it is written; an API has none. */
  series?: { tally: Tally; write: Series['write'] }
  everyMs: number
  log: Log
}

/** Reports a process and its counters every `everyMs` until it is closed; then the process counts as gone. */
export function reporting(options: ReportingOptions) {
  const { instances, instance, snapshot, diskFull, series, everyMs, log, ...given } = options
  const load = loadOf()
  let underWay = false

  async function write(): Promise<void> {
    if (!series) return
    const tallied = series.tally.take()
    try {
      await series.write(tallied)
    } catch (error) {
      series.tally.giveBack(tallied)
      throw error
    }
  }

  const about = (): About => ({
    host: os.hostname(),
    pid: process.pid,
    version: given.version,
    since_ms: Math.round(performance.timeOrigin),
    running: series?.tally.running() ?? 0,
    concurrency: given.concurrency,
    cpu: load(),
    memory: process.memoryUsage.rss(), // throws where no file can be opened
    ...(diskFull && { disk_full: diskFull() }),
  })

  const report = async () => {
    if (underWay) return
    underWay = true
    try {
      await Promise.all([instances.report(instance, snapshot(), everyMs, about()), write()])
    } catch (error) {
      log.debug({ error: String(error) }, 'could not report the counters')
    } finally {
      underWay = false
    }
  }
  void report()
  const timer = setInterval(() => void report(), everyMs)
  return {
    async close(): Promise<void> {
      clearInterval(timer)
      await Promise.all([instances.retire(instance), write()]).catch(() => {})
    },
  }
}

/** Cores that this process has kept busy since it was asked last. */
function loadOf(): () => number {
  let before = process.cpuUsage()
  let at = performance.now()
  return () => {
    const { user, system } = process.cpuUsage(before)
    const elapsedMs = performance.now() - at
    before = process.cpuUsage()
    at = performance.now()
    return elapsedMs > 0 ? Math.round((user + system) / elapsedMs / 10) / 100 : 0
  }
}
