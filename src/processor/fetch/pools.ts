import type { Pool } from 'undici'

/** A pool of connections while somebody uses it. */
export interface Lease {
  readonly pool: Pool
  /** Whether the connection that undici is handing out right now (`onRequestStart`) has just been made. */
  isNewConnection(): boolean
  /** To be called once. */
  release(): void
}

export interface Pools {
  /** @param key names the pool: what it connects to, and by which way */
  use(key: string, make: () => Pool): Lease
  /** Ends all connections, also those in use. */
  close(): Promise<void>
}

interface Entry {
  pool: Pool
  users: number
  newConnection: boolean
}

/**
 * Keeps a pool for each origin: those in use, and the most recently used of the rest. An undici `Agent` would keep the
 * connections of any number of idle origins.
 *
 * @param mostIdle pools kept that nobody uses
 */
export function pools(mostIdle: number): Pools {
  const all = new Map<string, Entry>()
  const idle = new Map<string, Entry>() // in the order in which they became idle

  function add(key: string, pool: Pool): Entry {
    const entry: Entry = { pool, users: 0, newConnection: false }
    pool.on('connect', () => {
      entry.newConnection = true // and undici sends the waiting request before this turn is over
      queueMicrotask(() => {
        entry.newConnection = false
      })
    })
    all.set(key, entry)
    return entry
  }

  function evict(): void {
    for (const [key, { pool }] of idle) {
      if (idle.size <= mostIdle) return
      idle.delete(key)
      all.delete(key)
      void pool.close()
    }
  }

  return {
    use(key, make) {
      const entry = all.get(key) ?? add(key, make())
      entry.users++
      idle.delete(key)
      return {
        pool: entry.pool,
        isNewConnection: () => entry.newConnection,
        release() {
          if (--entry.users > 0) return
          idle.set(key, entry)
          evict()
        },
      }
    },
    async close() {
      const open = [...all.values()]
      all.clear()
      idle.clear()
      await Promise.all(open.map(({ pool }) => pool.destroy()))
    },
  }
}
