import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An origin whose paths the test decides. Counts what is open, by path. */
export interface Origin {
  url: string
  requests: IncomingMessage[]
  /** Requests that are open now, and the most that ever were. */
  open: number
  maxOpen: number
  /** What answers a path; others get 404. */
  on(path: string, listener: RequestListener | string | Buffer): string
  [Symbol.asyncDispose](): Promise<void>
}

export async function startOrigin(): Promise<Origin> {
  const routes = new Map<string, RequestListener>()
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    origin.requests.push(request)
    origin.open++
    origin.maxOpen = Math.max(origin.maxOpen, origin.open)
    response.once('close', () => origin.open--)
    const listener = routes.get(new URL(request.url ?? '/', 'http://origin').pathname)
    if (listener) listener(request, response)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin: Origin = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    open: 0,
    maxOpen: 0,
    on(path, listener) {
      routes.set(path, typeof listener === 'function' ? listener : (_request, response) => void response.end(listener))
      return origin.url + path
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return origin
}
