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
  return {
    snapshot: (): Stats => ({ ...stats }),
    delivered() {
      stats.successfulCallbacks++
    },
    /** A delivery that did not succeed, whether it is tried again or not. */
    attemptFailed({ code }: JobError) {
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
