import { failureCounts } from '../failure-counts.ts'
import type { JobError } from '../jobs/errors.ts'
import type { Stats } from '../queue/instances.ts'

/** What this notifier counted since it started; the names are those of `GET /stats/notifier`. */
export function notifierStats() {
  const stats = {
    failedCallbacks: 0,
    successfulCallbacks: 0,
    undefinedBackendWithCallback: 0,
    unknownTopicOrPartition: 0,
  } satisfies Stats
  const failures = failureCounts()
  return {
    snapshot: (): Stats => ({ ...stats, ...failures.counts }),
    delivered() {
      stats.successfulCallbacks++
    },
    /** A delivery that did not succeed, whether it is tried again or not. */
    attemptFailed({ code }: JobError) {
      failures.add(code)
      if (code === 'receiver.unknown_topic') stats.unknownTopicOrPartition++
      if (code === 'receiver.undefined_backend') stats.undefinedBackendWithCallback++
    },
    /** A callback that is not tried again by itself. */
    failed() {
      stats.failedCallbacks++
    },
  }
}

export type NotifierStats = ReturnType<typeof notifierStats>
