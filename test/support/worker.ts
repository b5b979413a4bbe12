import type { Outcome } from '../../src/jobs/places.ts'
import type { Lease } from '../../src/leases.ts'
import type { Room } from '../../src/queue/room.ts'
import { type WorkerOptions, work } from '../../src/worker.ts'
import type { TestQueue } from './queue.ts'

/** A worker loop that runs until it is stopped, at the latest with the test. */
export interface TestWorker extends AsyncDisposable {
  /** Every lease that was run, in the order of the beginnings. */
  readonly runs: Lease[]
  /** Tells the loop to stop; resolves when it has. */
  stop(): Promise<void>
}

export type WorkerTestOptions = Partial<Omit<WorkerOptions, 'run'>> & {
  room?: Room
  /** Default: the job is deleted, which is its end. */
  run?: (lease: Lease) => Promise<Outcome>
}

export function startWorker(q: TestQueue, options: WorkerTestOptions = {}): TestWorker {
  const { room = q.room(), run = async () => ({ kind: 'deleted' }) as const, ...rest } = options
  const runs: Lease[] = []
  const stop = new AbortController()
  const ended = work(
    {
      rooms: [room],
      concurrency: 4,
      graceMs: 5000,
      log: q.log,
      ...rest,
      run(lease) {
        runs.push(lease)
        return run(lease)
      },
    },
    stop.signal,
  )
  const worker = {
    runs,
    stop() {
      stop.abort(new Error('the test stops its worker'))
      return ended
    },
    [Symbol.asyncDispose]: () => worker.stop(),
  }
  return worker
}

/** What a run does that lasts until it is told to stop. */
export function untilAborted({ signal }: Lease): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

/** A door that opens when somebody calls `open`. */
export function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}
