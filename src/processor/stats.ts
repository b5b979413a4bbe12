import { failureCounts } from '../failure-counts.ts'
import type { JobError } from '../jobs/errors.ts'
import type { Stats } from '../queue/instances.ts'

/** What this processor counted since it started; the names are those of `GET /stats/processor`. */
export function processorStats() {
  const pools = new Map<string, number>()
  const stats = {
    workers: 0,
    maxWorkers: 0,
    spawnedWorkers: 0,
    workerPools: 0,
    maxWorkerPools: 0,
    spawnedWorkerPools: 0,
    failures: 0,
    reaperFailures: 0,
    reaperSuccessfulDeletions: 0,
    invalidProxies: 0,
  } satisfies Stats
  let attempts = 0
  const responses: Stats = {}
  const failures = failureCounts()

  const respond = (what: string | number) => {
    const name = `download.response.${what}`
    responses[name] = (responses[name] ?? 0) + 1
  }

  return {
    /** Attempts under way, with those that store their file. */
    running: () => attempts,
    snapshot: (): Stats => ({ ...stats, ...responses, ...failures.counts }),

    /** A worker is what counts against an aggregation's limit: it ends when all has come, if not with its attempt. */
    attemptBegins(aggregation: string) {
      const running = pools.get(aggregation) ?? 0
      pools.set(aggregation, running + 1)
      if (running === 0) stats.spawnedWorkerPools++
      attempts++
      stats.workers++
      stats.spawnedWorkers++
      stats.workerPools = pools.size
      stats.maxWorkers = Math.max(stats.maxWorkers, stats.workers)
      stats.maxWorkerPools = Math.max(stats.maxWorkerPools, stats.workerPools)
      let counts = true

      function leave(): void {
        if (!counts) return
        counts = false
        const left = (pools.get(aggregation) ?? 1) - 1
        if (left === 0) pools.delete(aggregation)
        else pools.set(aggregation, left)
        stats.workers--
        stats.workerPools = pools.size
      }

      return {
        /** The origin has sent all: what is left is to store it. */
        leave,
        end() {
          leave()
          attempts--
        },
      }
    },

    succeeded(status: number) {
      respond(status)
    },

    failed({ code }: JobError) {
      stats.failures++
      failures.add(code)
      const [family = '', detail = ''] = code.split('.')
      if (family === 'http') respond(detail)
      else if (family === 'tls' || family === 'mime' || family === 'body') respond(family)
      else if (family === 'image') respond('image-size')
      else if (code === 'proxy.invalid') stats.invalidProxies++
    },

    deleted() {
      stats.reaperSuccessfulDeletions++
    },

    deletionFailed() {
      stats.reaperFailures++
    },
  }
}

export type ProcessorStats = ReturnType<typeof processorStats>
