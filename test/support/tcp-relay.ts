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
  /** Says to both ends of each connection that no more will come, and still takes what they send. */
  halfClose(): void
  /** Whether new connections are ended as soon as they come. */
  refusing: boolean
}

export async function startRelay(port: number): Promise<TcpRelay> {
  const connections = new Set<{ near: Socket; far: Socket }>()
  const relay = createServer({ allowHalfOpen: true }, (near) => {
    if (self.refusing) return void near.destroy()
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
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
  const self: TcpRelay = {
    addr: `127.0.0.1:${(relay.address() as AddressInfo).port}`,
    refusing: false,
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
    halfClose() {
      for (const { near, far } of connections) {
        near.end()
        far.end()
      }
    },
    async [Symbol.asyncDispose]() {
      cut()
      relay.close()
    },
  }
  return self

  function cut() {
    for (const { near, far } of connections) {
      near.destroy()
      far.destroy()
    }
  }
}
