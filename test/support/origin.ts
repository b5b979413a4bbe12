import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import tls from 'node:tls'
import type { Identity } from './certificates.ts'

/** An origin that writes what the test tells it to, HTTP or not. */
export interface RawOrigin extends AsyncDisposable {
  /** `http://127.0.0.1:port`, or https with an identity */
  url: string
  port: number
  /** Connections that ever came. */
  connections: number
  /** Those that are open now. */
  sockets: Set<Socket>
  /** The heads of the requests that came, over all connections. */
  heads: string[]
  /** Resolves when no connection is open. */
  idle(): Promise<void>
}

/** Called with every complete request head; when it returns a string, that is written. */
type Answer = (socket: Socket, head: string) => unknown

/** @param identity makes it speak TLS */
export const startRawOrigin = (answer: Answer, identity?: Identity): Promise<RawOrigin> => started(answer, identity, [])

/** An origin at several addresses of loopback: it sees whoever connects to what should have been refused. */
export const startCanary = (answer: Answer = () => response('caught')): Promise<RawOrigin> =>
  started(answer, undefined, ['127.0.0.2', '::1'])

const TRIES = 20

/** @param others addresses beside 127.0.0.1, at the same port; those that the machine has not are left out */
async function started(answer: Answer, identity: Identity | undefined, others: string[]): Promise<RawOrigin> {
  const closed = new Set<() => void>()
  const onConnection = (socket: Socket) => {
    origin.connections++
    origin.sockets.add(socket)
    let text = ''
    socket.on('error', () => {}) // clients of a hostile origin hang up
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
        const head = text.slice(0, end)
        text = text.slice(end + 4)
        origin.heads.push(head)
        const reply = answer(socket, head)
        if (typeof reply === 'string') socket.write(reply, 'latin1')
      }
    })
    socket.on('close', () => {
      origin.sockets.delete(socket)
      for (const look of closed) look()
    })
  }
  const newServer = () => {
    const server = identity === undefined ? createServer(onConnection) : tls.createServer(identity, onConnection)
    return server.on('tlsClientError', () => {})
  }
  const { port, servers } = await listening(newServer, others)

  const origin: RawOrigin = {
    url: `${identity === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    connections: 0,
    sockets: new Set(),
    heads: [],
    idle: () =>
      new Promise((resolve) => {
        const look = () => {
          if (origin.sockets.size > 0) return
          closed.delete(look)
          resolve()
        }
        closed.add(look)
        look()
      }),
    async [Symbol.asyncDispose]() {
      for (const socket of origin.sockets) socket.destroy()
      await Promise.all(servers.map(ended))
    },
  }
  return origin
}

/** One server at 127.0.0.1, and one at each of the others, all at the same port. */
async function listening(newServer: () => Server, others: string[]): Promise<{ port: number; servers: Server[] }> {
  for (let tries = 1; ; tries++) {
    const first = newServer()
    const servers = [first]
    await once(first.listen(0, '127.0.0.1'), 'listening')
    const { port } = first.address() as AddressInfo
    try {
      for (const host of others) {
        const server = newServer()
        const taken = await once(server.listen(port, host), 'listening').catch((error) => error)
        if (taken?.code === 'EADDRNOTAVAIL') continue
        if (taken instanceof Error) throw taken
        servers.push(server)
      }
      return { port, servers }
    } catch (error) {
      await Promise.all(servers.map(ended))
      if (tries === TRIES) throw error // another process has the port at one of the addresses
    }
  }
}

async function ended(server: Server): Promise<void> {
  server.close()
  await once(server, 'close')
}

/** A whole response in HTTP/1.1. */
export function response(body: string, headers: Record<string, string | number> = {}, status = '200 OK'): string {
  const all = { 'content-length': Buffer.byteLength(body, 'latin1'), ...headers }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${body}`
}
