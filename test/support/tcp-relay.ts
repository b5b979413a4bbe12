import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** `requests` go to the server, `replies` come from it. */
export type Direction = 'requests' | 'replies' | 'both'

/** A way to a TCP server of this machine on which bytes can be held back, delayed and lost, and connections broken. */
export interface TcpRelay extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly addr: string
  /** Holds back what comes from the server, or goes to it, on the connections that there are now. */
  hold(direction: Direction): void
  /** Passes on what was held back, and all that follows. */
  release(): void
  /** Ends the connections that there are now; what was held back is lost. */
  cut(): void
  /** Tells the clients that the connections are over, and leaves the server in the belief that they are not. */
  halfClose(): void
  /** From now on all bytes come this much later, on new connections, too; 0 ends it. */
  delay(ms: number): void
  /** From now on all bytes are lost, on new connections, too; with `undefined` only on those that have lost some. */
  swallow(direction: Direction | undefined): void
  /** Ends all connections, and takes no new ones until `accept`. */
  refuse(): Promise<void>
  accept(): Promise<void>
}

interface Connection {
  near: Socket
  far: Socket
  /** The server is not to learn of the end. */
  halfClosed: boolean
  /** Bytes of it are lost: it can never be whole again. */
  spoilt: boolean
}

export async function startRelay(port: number): Promise<TcpRelay> {
  const connections = new Set<Connection>()
  let delayMs = 0
  let swallowed: Direction | undefined

  const relay = createServer((near) => {
    const connection = { near, far: connect(port, '127.0.0.1'), halfClosed: false, spoilt: false }
    const { far } = connection
    connections.add(connection)
    near.on('close', () => {
      if (!connection.halfClosed) far.destroy()
    })
    far.on('close', () => {
      near.destroy()
      connections.delete(connection)
    })
    pass(connection, near, far, 'requests')
    pass(connection, far, near, 'replies')
  })

  function pass(connection: Connection, from: Socket, to: Socket, direction: Direction): void {
    from.setNoDelay(true)
    from.on('error', () => {})
    let passed = Promise.resolve() // what comes later never overtakes
    from.on('end', () => {
      if (!connection.halfClosed) void passed.then(() => to.end())
    })
    // Without back-pressure: what our tests send is small.
    from.on('data', (chunk) => {
      if (connection.spoilt || swallowed === direction || swallowed === 'both') {
        connection.spoilt = true
        return
      }
      const due = delayMs > 0 ? new Promise((resolve) => setTimeout(resolve, delayMs)) : undefined
      passed = Promise.all([passed, due]).then(() => void to.write(chunk))
    })
  }

  function cut() {
    for (const { near, far } of connections) {
      near.destroy()
      far.destroy()
    }
  }

  async function listen(at: number) {
    relay.listen(at, '127.0.0.1')
    await once(relay, 'listening')
    return (relay.address() as AddressInfo).port
  }

  const listening = await listen(0)
  return {
    addr: `127.0.0.1:${listening}`,
    hold(direction) {
      for (const { near, far } of connections) {
        if (direction !== 'replies') near.pause()
        if (direction !== 'requests') far.pause()
      }
    },
    release() {
      for (const { near, far } of connections) {
        near.resume()
        far.resume()
      }
    },
    cut,
    halfClose() {
      for (const connection of connections) {
        connection.halfClosed = true
        connection.near.end()
      }
    },
    delay(ms) {
      delayMs = ms
    },
    swallow(direction) {
      swallowed = direction
    },
    async refuse() {
      relay.close()
      cut()
      await once(relay, 'close')
    },
    async accept() {
      await listen(listening)
    },
    async [Symbol.asyncDispose]() {
      cut()
      relay.close()
    },
  }
}
