import { eventOf, type JobEventName } from './jobs/event.ts'
import type { Outcome } from './jobs/places.ts'
import type { Lease } from './leases.ts'
import type { Claim } from './queue/room.ts'
import type { CounterName, FailureCount, Tallied } from './queue/series.ts'
import { hostNamed } from './shown-url.ts'

type Run = (lease: Lease) => Promise<Outcome>

const COUNTED: Partial<Record<JobEventName, CounterName>> = {
  downloaded: 'downloaded',
  failed: 'failed',
  retrying: 'retried',
  delivered: 'delivered',
  delivery_failed: 'callbacks_failed',
  delivery_retrying: 'callbacks_retried',
}
/** Kinds of failures that are told apart between two writes. */
const MOST_FAILURES = 200

/** What a process has done since it wrote it down last, see queue/series.lua. Costs a job a few additions. */
export function tally() {
  let counters: Tallied['counters'] = {}
  let failures = new Map<string, FailureCount>()
  let running = 0

  const add = (name: CounterName, number: number) => {
    counters[name] = (counters[name] ?? 0) + number
  }
  const highest = (name: CounterName, number: number) => {
    counters[name] = Math.max(counters[name] ?? 0, number)
  }
  const fail = ({ step, code, host, count }: FailureCount) => {
    const name = `${step} ${code} ${host}`
    const known = failures.get(name)
    if (known) known.count += count
    else if (failures.size < MOST_FAILURES || host === '') failures.set(name, { step, code, host, count })
    else fail({ step, code, host: '', count })
  }

  function note(claim: Claim, outcome: Outcome): void {
    const { event } = eventOf(outcome)
    const name = COUNTED[event]
    if (name) add(name, 1)
    if (outcome.kind === 'downloaded') add('bytes', outcome.result.size)
    if (!('failure' in outcome) || !outcome.failure) return
    const { step, code } = outcome.failure
    fail({ step, code, host: step === 'callback' ? claim.group : hostNamed(claim.job.request?.url ?? ''), count: 1 })
  }

  return {
    /** Jobs under way in this process. */
    running: () => running,

    /** The same work, counted. */
    counted:
      (run: Run): Run =>
      async (lease) => {
        const { job } = lease.claim
        running++
        if (!job.handled && !job.result) {
          const waited = Date.now() - Math.max(job.createdMs, job.request?.notBeforeMs ?? 0)
          add('starts', 1)
          add('wait_ms', Math.max(0, waited))
          highest('max_wait_ms', Math.max(0, waited))
        }
        try {
          const outcome = await run(lease)
          note(lease.claim, outcome)
          return outcome
        } finally {
          running--
        }
      },

    /** Hands out what was counted, and begins anew. */
    take(): Tallied {
      const taken = { counters, failures: [...failures.values()] }
      counters = {}
      failures = new Map()
      return taken
    },

    /** It could not be written: it goes with the next. */
    giveBack(tallied: Tallied): void {
      for (const [name, number] of Object.entries(tallied.counters) as [CounterName, number][]) {
        if (name === 'max_wait_ms') highest(name, number)
        else add(name, number)
      }
      for (const failure of tallied.failures) fail(failure)
    },
  }
}

export type Tally = ReturnType<typeof tally>
