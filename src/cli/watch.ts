import { setMaxListeners } from 'node:events'
import { ApiProblem, ApiUnreachable, type Client, isOver, type Job } from '#client'
import { alarm } from '../alarm.ts'
import { pause } from '../deadline.ts'

/** Waits for many jobs at once. */
export interface Watch {
  add(id: string): void
  /** Resolves when all that was added is over. @throws {ApiUnreachable} after a minute without an answer */
  finish(): Promise<void>
  close(): Promise<void>
}

const LOOKS_AT_ONCE = 16
/** Events make it prompt; a look at what was not looked at for so long makes it sure. */
const LOOK_AGAIN_MS = 2000
const LISTEN_AGAIN_MS = 2000
const MAX_ABSENCE_MS = 60_000
/** Events that come before the answer to the request that made their job. */
const MAX_EARLY = 20_000
const TELLING = ['downloaded', 'failed', 'delivered', 'delivery_failed', 'cancelled', 'deleted']

/** @param onOver told of each job that is over; undefined for one that the service does not know any more */
export function watch(client: Client, signal: AbortSignal, onOver: (id: string, job: Job | undefined) => void): Watch {
  /** When it was looked at, the longest ago first. */
  const waiting = new Map<string, number>()
  const told = new Set<string>()
  const early = new Set<string>()
  const bell = alarm()
  const end = new AbortController()
  setMaxListeners(0, end.signal) // every look listens
  const onAbort = () => {
    end.abort(signal.reason)
    bell.ring()
  }
  signal.addEventListener('abort', onAbort, { once: true })
  let answeredMs = performance.now()
  const listening = listen()

  async function listen(): Promise<void> {
    while (!end.signal.aborted) {
      try {
        for await (const live of client.events({}, end.signal)) {
          if (live.kind !== 'job' || !TELLING.includes(live.job.event)) continue
          const { id } = live.job
          if (waiting.has(id)) told.add(id)
          else if (early.size < MAX_EARLY) early.add(id)
          bell.ring()
        }
      } catch {
        // looking goes on without it
      }
      await pause(LISTEN_AGAIN_MS, end.signal)
    }
  }

  async function look(id: string): Promise<void> {
    told.delete(id)
    waiting.delete(id)
    waiting.set(id, performance.now())
    try {
      const job = await client.get(id, { signal: end.signal })
      if (isOver(job) && forget(id)) onOver(id, job)
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 404) {
        if (forget(id)) onOver(id, undefined)
      } else {
        const isPassing = error instanceof ApiUnreachable || (error instanceof ApiProblem && error.status >= 500)
        if (!isPassing || performance.now() - answeredMs > MAX_ABSENCE_MS) throw error
        return
      }
    }
    answeredMs = performance.now()
  }

  /** Events that came during a look at it are no reason for another one. */
  function forget(id: string): boolean {
    told.delete(id)
    return waiting.delete(id)
  }

  function next(): string[] {
    const ids = [...told].slice(0, LOOKS_AT_ONCE)
    const due = performance.now() - LOOK_AGAIN_MS
    for (const [id, lookedMs] of waiting) {
      if (ids.length === LOOKS_AT_ONCE || lookedMs > due) break
      if (!told.has(id)) ids.push(id)
    }
    return ids
  }

  return {
    add(id) {
      waiting.set(id, performance.now())
      if (early.delete(id)) told.add(id)
      bell.ring()
    },
    async finish() {
      answeredMs = performance.now()
      while (waiting.size > 0) {
        end.signal.throwIfAborted()
        const ids = next()
        if (ids.length === 0) await bell.sleep(LOOK_AGAIN_MS / 4)
        await Promise.all(ids.map(look))
      }
    },
    async close() {
      end.abort()
      signal.removeEventListener('abort', onAbort)
      await listening
    },
  }
}
