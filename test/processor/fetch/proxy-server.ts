import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Identity } from '../../support/certificates.ts'
import { until } from './harness.ts'

export interface ProxyServer extends AsyncDisposable {
  url: string
  port: number
  /** `GET http://…` and `CONNECT host:port`, as they came. */
  asked: string[]
  requests: IncomingMessage[]
  connections: number
  /** Resolves when no connection is open, neither to it nor from it. */
  idle(): Promise<void>
}

export interface ProxyOptions {
  identity?: Identity
  /** What it answers instead of serving; "" for silence. */
  refusal?: string
}

/** An HTTP proxy for whom every host is 127.0.0.1. */
export async function startProxy({ identity, refusal }: ProxyOptions = {}): Promise<ProxyServer> {
  const sockets = new Set<Duplex>()
  const server = identity === undefined ? createServer() : createSecureServer(identity)
  const keep = (socket: Duplex) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  }
  const note = (message: IncomingMessage) => {
    proxy.asked.push(`${message.method} ${message.url}`)
    proxy.requests.push(message)
  }
  server.on(identity === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    proxy.connections++
    keep(socket)
  })
  server.on('request', (incoming, outgoing) => {
    note(incoming)
    if (refusal !== undefined) return refusal && incoming.socket.end(refusal)
    const { port, pathname, search } = new URL(incoming.url ?? '')
    const { 'proxy-authorization': _, ...headers } = incoming.headers
    const forward = request({ host: '127.0.0.1', port, path: pathname + search, headers }, (response) => {
      outgoing.writeHead(response.statusCode ?? 0, response.headers)
      response.pipe(outgoing)
    })
    forward.on('error', () => outgoing.writeHead(502).end())
    forward.end()
  })
  server.on('connect', (incoming: IncomingMessage, socket: Duplex) => {
    note(incoming)
    if (refusal === '') return socket.resume().on('end', () => socket.end())
    if (refusal !== undefined) return socket.end(refusal)
    const origin = connect(Number(incoming.url?.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(origin).pipe(socket)
    })
    keep(origin)
    origin.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const proxy: ProxyServer = {
    url: `${identity === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    asked: [],
    requests: [],
    connections: 0,
    idle: () => until(() => sockets.size === 0),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return proxy
}
