import { Worker } from 'node:worker_threads'

/** Work on files that costs little but often, done in threads of its own, many at a time. */
export interface DiskLanes {
  /** Writes a new file, in a new folder if need be, and syncs it. */
  write(file: string, bytes: Uint8Array): Promise<void>
  /**
   * Renames a file, with the folders that it needs, and syncs what has changed in folders.
   *
   * @param confirm called right before; what it throws is thrown, and nothing was done
   */
  place(from: string, to: string, confirm: () => void): Promise<void>
  /** Removes a file, if it is there, and its folder, if it is empty and not `root`. */
  remove(file: string, root: string): Promise<void>
  close(): Promise<void>
}

interface Work {
  kind: 'places' | 'writes' | 'removals'
  item: object
  confirm?: () => void
  resolve: () => void
  reject: (error: unknown) => void
}

interface Lane {
  worker: Worker
  /** What it was given and has not answered. */
  batch: Work[]
}

/** Syncs at once: enough to keep a disk busy, few enough to share the journal's commits. */
const LANES = 3
/** A lane answers when all of a batch is done, so that none waits long for the others. */
const MAX_BATCH = 32

/**
 * libuv's thread pool costs two switches of threads for each system call, of which a small file needs ten: that is
 * half of the processor's work (docs/performance.md). A lane gets all that has gathered in one message and needs
 * microseconds for all calls but the syncs. Nothing blocks the event loop, however slow the disk.
 */
export function diskLanes(): DiskLanes {
  const queues: Record<Work['kind'], Work[]> = { places: [], writes: [], removals: [] }
  const lanes = new Set<Lane>()
  let scheduled = false
  let closed = false
  for (let i = 0; i < LANES; i++) lanes.add(open())

  function open(): Lane {
    const lane: Lane = { worker: new Worker(new URL('./disk-lane.mjs', import.meta.url)), batch: [] }
    lane.worker.unref()
    lane.worker.on('message', (errors: ({ code: string; message: string } | undefined)[]) => {
      const { batch } = lane
      lane.batch = []
      for (const [i, work] of batch.entries()) {
        const error = errors[i]
        if (error) work.reject(Object.assign(new Error(error.message), { code: error.code }))
        else work.resolve()
      }
      give()
    })
    lane.worker.on('error', (error) => end(lane, error))
    return lane
  }

  /** A lane that broke is a bug; its work fails, and another one takes its place. */
  function end(lane: Lane, error: unknown): void {
    lanes.delete(lane)
    for (const work of lane.batch) work.reject(error)
    if (!closed) lanes.add(open())
    give()
  }

  function give(): void {
    scheduled = false
    const idle = [...lanes].filter(({ batch }) => batch.length === 0)
    for (const [i, lane] of idle.entries()) {
      const queued = queues.places.length + queues.writes.length + queues.removals.length
      if (queued === 0) return
      send(lane, Math.min(Math.ceil(queued / (idle.length - i)), MAX_BATCH))
    }
  }

  /** What is to be put in place comes first: it was written before the rest. */
  function send(lane: Lane, count: number): void {
    const places = queues.places.splice(0, count).filter(confirmed)
    const writes = queues.writes.splice(0, count - places.length)
    const removals = queues.removals.splice(0, count - places.length - writes.length)
    lane.batch = [...places, ...writes, ...removals]
    if (lane.batch.length === 0) return
    const items = (work: Work[]) => work.map(({ item }) => item)
    lane.worker.postMessage({ places: items(places), writes: items(writes), removals: items(removals) })
  }

  function add(kind: Work['kind'], item: object, confirm = () => {}): Promise<void> {
    if (closed) return Promise.reject(new Error('the disk lanes are closed'))
    return new Promise((resolve, reject) => {
      queues[kind].push({ kind, item, confirm, resolve, reject })
      if (scheduled) return
      scheduled = true
      setImmediate(give) // when all that came at once has been added
    })
  }

  return {
    write: (file, bytes) => add('writes', { file, bytes }),
    place: (from, to, confirm) => add('places', { from, to }, confirm),
    remove: (file, root) => add('removals', { file, root }),
    async close() {
      closed = true
      await Promise.all([...lanes].map(({ worker }) => worker.terminate()))
      const left = [...Object.values(queues).flat(), ...[...lanes].flatMap(({ batch }) => batch)]
      for (const work of left) work.reject(new Error('the disk lanes were closed'))
    },
  }
}

function confirmed({ confirm, reject }: Work): boolean {
  try {
    confirm?.()
    return true
  } catch (error) {
    reject(error)
    return false
  }
}
