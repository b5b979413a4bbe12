import type { Socket } from 'node:net'
import { nowMs } from './clock.ts'

/** One request that somebody had open at a server of ours. Times by `nowMs`. */
export interface Visit {
  /** What is limited: the aggregation, or the receiver. */
  group: string
  /** Which of the processes asked. */
  who: string
  /** Number of the job. */
  n: number
  startMs: number
  /** Absent while it is open. */
  endMs?: number
  how: string
}

/** Two looks at the clock lie at least this far apart, if the event loop keeps up. */
const BEAT_MS = 5

/**
 * Records when requests are open. A request begins when its head has been read, and ends right before the last byte
 * of the answer is written: nobody can know earlier that it is over.
 *
 * An end that comes from the other side is learned of late, and in one batch with what came after it. It is stamped
 * with the last moment of which we know that it had not come: the heartbeat before the last one. So a recorder that
 * does not keep up sees too little, and never a limit passed that was kept.
 */
export function visitRecorder() {
  const visits: Visit[] = []
  let beat = nowMs()
  let before = beat
  let longestMs = 0
  const timer = setInterval(() => {
    before = beat
    beat = nowMs()
    longestMs = Math.max(longestMs, beat - before)
  }, BEAT_MS)
  timer.unref()

  return {
    visits,
    /** The longest time between two heartbeats. */
    longestLagMs: () => longestMs,
    /** @returns ends the visit, if it is open still */
    begin(socket: Socket, group: string, who: string, n: number): { visit: Visit; end(how: string): void } {
      const visit: Visit = { group, who, n, startMs: nowMs(), how: 'open' }
      visits.push(visit)
      const end = (how: string, atMs = nowMs()) => {
        if (visit.endMs !== undefined) return
        visit.endMs = Math.max(visit.startMs, atMs)
        visit.how = how
        socket.off('end', gone)
        socket.off('close', gone)
      }
      const gone = () => end('hung up', before)
      socket.on('end', gone)
      socket.on('close', gone)
      return { visit, end }
    },
  }
}

export type VisitRecorder = ReturnType<typeof visitRecorder>
