import { createRequire } from 'node:module'

/** The part of kafkajs's `RequestQueue` that the patch touches. */
interface RequestQueue {
  pending: unknown[]
  /** ms since the epoch until which the broker asked us to be quiet; -1 when it did not */
  throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null
  checkPendingRequests(): void
  scheduleCheckPendingRequests(): void
}

/** How soon requests that wait for others are looked at again, in ms: as in kafkajs. */
const CHECK_INTERVAL_MS = 10

/**
 * kafkajs 2.2.4 (and 2.3.0-beta.3) keeps a timer per connection that fires every millisecond for ever, because its delay
 * is negative: 4 % of a core for each idle broker connection (tulios/kafkajs#1704), and a TimeoutNegativeWarning on
 * Node 24 (tulios/kafkajs#1751). This is the same method without the timer that nothing needs.
 *
 * @throws Error when kafkajs no longer has the method: then it is time to look whether the patch is still needed
 */
export function patchRequestQueue(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as {
    prototype: RequestQueue
  }
  if (typeof prototype.scheduleCheckPendingRequests !== 'function') {
    throw new Error('kafkajs has changed: RequestQueue.scheduleCheckPendingRequests is gone')
  }
  prototype.scheduleCheckPendingRequests = function (this: RequestQueue) {
    if (this.throttleCheckTimeoutId !== null) return
    const throttledMs = this.throttledUntil - Date.now()
    if (this.pending.length === 0 && throttledMs <= 0) return
    const delayMs = throttledMs > 0 ? throttledMs : CHECK_INTERVAL_MS
    this.throttleCheckTimeoutId = setTimeout(() => {
      this.throttleCheckTimeoutId = null
      this.checkPendingRequests()
    }, delayMs)
  }
}
