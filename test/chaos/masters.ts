import { Redis } from 'ioredis'
import { nowMs } from './clock.ts'

/** Knows when the Sentinels have named another master, also when nobody had asked them to. */
export interface Masters extends Disposable {
  /** By `nowMs`, when the first of them said so. */
  readonly changesMs: readonly number[]
}

/** @param sentinels `host:port` of each */
export function watchMasters(sentinels: readonly string[]): Masters {
  const changesMs: number[] = []
  let last = ''
  const clients = sentinels.map((address) => {
    const [host = '', port] = address.split(':')
    const client = new Redis({ host, port: Number(port), enableReadyCheck: false })
    client.on('error', () => {})
    client.on('message', (_channel, change: string) => {
      if (change === last) return // another one says the same
      last = change
      changesMs.push(nowMs())
    })
    client.subscribe('+switch-master').catch(() => {})
    return client
  })
  return {
    changesMs,
    [Symbol.dispose]() {
      for (const client of clients) client.disconnect()
    },
  }
}
