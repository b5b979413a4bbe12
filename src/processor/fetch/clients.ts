import { Client } from 'undici'
import { type ConnectTimings, type GuardedConnector, noTimings } from '../../net/connector.ts'
import { mostHeaderBytes } from './errors.ts'

/** A connection, or one to be made, for one exchange at a time. One of `release` and `destroy` ends it. */
export interface Lease {
  readonly client: Client
  /** Whether the connection has served before: then the server may be closing it just as we use it. */
  isUsed(): boolean
  /** Of making the connection for this lease; all 0 where it was there. */
  readonly timings: ConnectTimings
  /** After an exchange that ended well: the connection may serve again. */
  release(): void
  /** Closes the connection, or gives up making it. */
  destroy(): void
}

/** Where connections lead, and how. */
export interface Destination {
  /** Names it: the same key, the same connections. */
  key: string
  origin: string
  connector(): GuardedConnector
}

export interface Clients {
  /** @param fresh no connection that has served before */
  take(destination: Destination, fresh?: boolean): Lease
  /** Ends all connections, also those in use. */
  close(): Promise<void>
}

interface Entry {
  key: string
  client: Client
  used: boolean
  /** Of the lease that has it. */
  timings: ConnectTimings
  /** Gives up on the connection that is being made. */
  cancel(): void
}

const options = {
  headersTimeout: 0, // undici's timers tick once a second: the exchange has its own
  bodyTimeout: 0,
  keepAliveMaxTimeout: 10_000, // servers may offer minutes; a processor talks to thousands of them
  maxHeaderSize: mostHeaderBytes,
}

/**
 * Keeps idle connections to be used again, to any number of origins. Not undici's `Agent`: that bounds neither their
 * number, nor does it tell which connection an exchange runs on, so that one could only be aborted in undici's way,
 * which connects anew just to drop the aborted request (nodejs/undici#5845).
 *
 * @param mostIdle connections kept that nobody uses, over all origins
 */
export function clients(mostIdle: number): Clients {
  const open = new Set<Entry>()
  const idle = new Set<Entry>() // the oldest first
  const idleByKey = new Map<string, Entry[]>()

  function add({ key, origin, connector }: Destination): Entry {
    const connect = connector()
    let connecting: ReturnType<GuardedConnector>
    const client = new Client(origin, {
      ...options,
      connect(target, callback) {
        connecting = connect(target, callback, entry.timings)
      },
    })
    const entry: Entry = { key, client, used: false, timings: noTimings(), cancel: () => connecting?.destroy() }
    client.on('connect', () => {
      connecting = undefined
      entry.used = false
    })
    client.on('disconnect', () => {
      if (idle.has(entry)) remove(entry)
    })
    open.add(entry)
    return entry
  }

  function remove(entry: Entry): void {
    open.delete(entry)
    leaveIdle(entry)
    entry.cancel()
    entry.client.destroy().catch(() => {})
  }

  function leaveIdle(entry: Entry): void {
    if (!idle.delete(entry)) return
    const others = idleByKey.get(entry.key) ?? []
    others.splice(others.lastIndexOf(entry), 1)
    if (others.length === 0) idleByKey.delete(entry.key)
  }

  function rest(entry: Entry): void {
    if (!open.has(entry)) return
    entry.used = true
    idle.add(entry)
    const others = idleByKey.get(entry.key)
    if (others === undefined) idleByKey.set(entry.key, [entry])
    else others.push(entry)
    const [oldest] = idle
    if (idle.size > mostIdle && oldest !== undefined) remove(oldest)
  }

  return {
    take(destination, fresh = false) {
      const latest = fresh ? undefined : idleByKey.get(destination.key)?.at(-1)
      if (latest !== undefined) leaveIdle(latest)
      const entry = latest ?? add(destination)
      entry.timings = noTimings()
      return {
        client: entry.client,
        timings: entry.timings,
        isUsed: () => entry.used,
        release: () => rest(entry),
        destroy: () => remove(entry),
      }
    },
    async close() {
      for (const entry of open) remove(entry)
    },
  }
}
