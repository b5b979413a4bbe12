import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedRequest {
  method: string
  /** With the query. */
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface ReceiverOptions {
  /** Answers a request once its body has come; 200 with an empty body unless given. */
  respond?: (request: ReceivedRequest, response: ServerResponse) => void
  /** To come back to the same address. */
  port?: number
}

/**
 * A receiver of callbacks over HTTP. Unless `respond` is given, the path says how it behaves: `/status/503` answers
 * that, `/hang` never answers, everything else is accepted.
 */
export async function startReceiver({ respond = byPath, port = 0 }: ReceiverOptions = {}) {
  const requests: ReceivedRequest[] = []
  const waiting = new Set<() => void>()
  let connections = 0

  const server = createServer((incoming, response) => {
    void take(incoming, response).catch(() => incoming.destroy())
  })
  server.on('connection', () => {
    connections++
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: listening } = server.address() as AddressInfo

  async function take(incoming: IncomingMessage, response: ServerResponse) {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const { method = '', url: path = '', headers } = incoming
    const request = { method, path, headers, body: Buffer.concat(chunks).toString() }
    requests.push(request)
    for (const look of waiting) look()
    respond(request, response)
  }

  return {
    requests,
    port: listening,
    /** How many connections were made so far. */
    get connections() {
      return connections
    },
    url: (path = '/') => `http://127.0.0.1:${listening}${path}`,
    /** The first `count` requests, once they have come. @throws when they have not within `ms` */
    received(count: number, ms = 10_000): Promise<ReceivedRequest[]> {
      return new Promise((resolve, reject) => {
        const look = () => {
          if (requests.length < count) return
          clearTimeout(timer)
          waiting.delete(look)
          resolve(requests.slice(0, count))
        }
        const timer = setTimeout(() => {
          waiting.delete(look)
          reject(new Error(`${requests.length} of ${count} requests came within ${ms} ms`))
        }, ms)
        waiting.add(look)
        look()
      })
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

export type Receiver = Awaited<ReturnType<typeof startReceiver>>

function byPath({ path }: ReceivedRequest, response: ServerResponse): void {
  if (path.startsWith('/hang')) return
  response.statusCode = Number(/^\/status\/(\d{3})/.exec(path)?.[1] ?? 200)
  response.end()
}
