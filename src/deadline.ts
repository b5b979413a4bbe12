/**
 * Runs `work` with a signal that aborts when `signal` does, or after `ms`. Leaves no listener or timer behind, which
 * `AbortSignal.any` with a long-lived signal does (nodejs/node#54614).
 *
 * @param ms 0 means no deadline
 * @param expired the reason that the signal aborts with when the time is up
 */
export async function withDeadline<T>(
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
  expired: () => Error = () => new DOMException(`no result within ${ms} ms`, 'TimeoutError'),
): Promise<T> {
  signal.throwIfAborted()
  const controller = new AbortController()
  const onAbort = () => controller.abort(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = ms > 0 ? setTimeout(() => controller.abort(expired()), Math.min(ms, 2 ** 31 - 1)) : undefined
  try {
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
