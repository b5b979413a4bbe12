import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A way to a TCP server of this machine on which bytes can be held back. */
export interface TcpRelay extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly addr: string
  /** Holds back what comes from the server, or goes to it, on the connections that there are now. */
  hold(direction: 'requests' | 'replies' | 'both'): void
  /** Passes on what was held back, and all that follows. */
  release(): void
  /** Ends the connections that there are now; what was held back is lost. */
  cut(): void
}

export async function startRelay(port: number): Promise<TcpRelay> {
  const connections = new Set<{ near: Socket; far: Socket }>()
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    const connection = { near, far }
    connections.add(connection)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.setNoDelay(true)
      from.on('error', () => {})
      from.on('close', () => {
        connections.delete(connection)
        to.destroy()
      })
      from.pipe(to)
    }
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return {
    addr: `127.0.0.1:${(relay.address() as AddressInfo).port}`,
    hold(direction) {
      for (const { near, far } of connections) {
        if (direction !== 'replies') near.unpipe(far).pause()
        if (direction !== 'requests') far.unpipe(near).pause()
      }
    },
    release() {
      for (const { near, far } of connections) {
        if (near.isPaused()) near.pipe(far)
        if (far.isPaused()) far.pipe(near)
      }
    },
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      relay.close()
    },
  }

  function cut() {
    for (const { near, far } of connections) {
      near.destroy()
      far.destroy()
    }
  }
}
