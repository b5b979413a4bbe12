import type { JobEvent } from '../jobs/event.ts'
import type { Log } from '../log.ts'
import type { Keys } from './keys.ts'
import type { Client } from './redis.ts'

/** An event, and when it was told, ms since the epoch by the clock of the process that did. */
export type Told = JobEvent & { atMs: number }

/** Whoever listens says so as often, and counts as listening for twice as long and a bit. */
const RENEW_MS = 10_000
const LISTENING_MS = 25_000

/**
 * Events of jobs, over Redis's channels: nothing is kept, and nothing is sent while nobody listens. Those who listen
 * say so on a channel of its own, to which every process that has something to tell is subscribed.
 *
 * @param subscriber a connection on which nothing else is done than subscribing
 */
export function eventsOf(redis: Client, subscriber: Client, keys: Keys, log: Log) {
  const listeners = new Set<(event: Told) => void>()
  let listenedUntil = 0
  let renewing: NodeJS.Timeout | undefined

  const subscribe = (channel: string) =>
    subscriber.subscribe(channel).catch((error: unknown) => {
      log.debug({ error: String(error), channel }, 'cannot subscribe: trying again with the next connection')
    })
  const announce = () => void redis.publish(keys.listening, '').catch(() => {})
  const onReady = () => {
    void subscribe(keys.listening)
    if (listeners.size > 0) void subscribe(keys.events).then(announce)
  }
  const onMessage = (channel: string, message: string) => {
    if (channel === keys.listening) listenedUntil = performance.now() + LISTENING_MS
    if (channel !== keys.events || listeners.size === 0) return
    const event = JSON.parse(message) as Told
    for (const listener of listeners) listener(event)
  }
  subscriber.on('ready', onReady)
  subscriber.on('message', onMessage)
  if (subscriber.status === 'ready') onReady()

  return {
    /** Tells those who listen, if anybody does; a Redis that is away loses it. */
    tell(event: JobEvent): void {
      if (performance.now() > listenedUntil) return
      redis.publish(keys.events, JSON.stringify({ ...event, atMs: Date.now() })).catch(() => {})
    },

    /**
     * Calls back with every event from now on.
     *
     * @returns ends it
     */
    listen(listener: (event: Told) => void): () => void {
      listeners.add(listener)
      if (listeners.size === 1) {
        void subscribe(keys.events).then(announce)
        renewing = setInterval(announce, RENEW_MS)
      } else announce()
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return
        clearInterval(renewing)
        subscriber.unsubscribe(keys.events).catch(() => {})
      }
    },

    close(): void {
      clearInterval(renewing)
      listeners.clear()
      subscriber.off('ready', onReady)
      subscriber.off('message', onMessage)
    },
  }
}

export type Events = ReturnType<typeof eventsOf>
