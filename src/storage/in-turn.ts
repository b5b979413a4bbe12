import type { LimitFunction } from 'p-limit'

/** As `limit(work)`, but who still waits for his turn when `signal` aborts is let go at once, with its reason. */
export function inTurn<T>(limit: LimitFunction, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    limit(() => {
      signal.removeEventListener('abort', leave)
      signal.throwIfAborted()
      return work()
    }).then(resolve, reject)
  })
}
