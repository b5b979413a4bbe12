import { syncBuiltinESMExports } from 'node:module'
import net, { type LookupFunction } from 'node:net'

interface Options {
  host: string
  port: number | string
  lookup: LookupFunction
}

/** Where sockets would have been connected to. */
export interface Recording extends Disposable {
  /** `address:port`; of several addresses of a name each. */
  targets: string[]
}

/**
 * Until disposed of, `net.connect` and with it undici's connector connects nowhere: it looks names up as ever, notes what it
 * would try, and fails with `ENETUNREACH`, or, where `detour` gives a port, connects to that of 127.0.0.1 instead.
 */
export function recordConnections(detour?: number): Recording {
  const original = net.connect
  const targets: string[] = []
  net.connect = ((options: Options) => {
    const { host, port, lookup } = options
    if (detour !== undefined) {
      targets.push(`${host}:${port}`)
      return original(detour, '127.0.0.1')
    }
    const socket = new net.Socket()
    const end = (error?: Error | null) =>
      socket.destroy(error ?? Object.assign(new Error('recorded'), { code: 'ENETUNREACH' }))
    if (net.isIP(host) > 0) {
      targets.push(`${host}:${port}`)
      setImmediate(end)
    } else {
      lookup(host, { all: true }, (error, found) => {
        socket.emit('lookup', error, found, 4, host)
        if (Array.isArray(found)) targets.push(...found.map(({ address }) => `${address}:${port}`))
        end(error)
      })
    }
    return socket
  }) as typeof net.connect
  syncBuiltinESMExports() // for those who import it by its name
  return {
    targets,
    [Symbol.dispose]() {
      net.connect = original
      syncBuiltinESMExports()
    },
  }
}
