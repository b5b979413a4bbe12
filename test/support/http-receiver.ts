import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Callback } from '../../src/jobs/callback.ts'

export interface Received {
  callback: Callback
  /** As it travelled. */
  body: string
  headers: IncomingHttpHeaders
  path: string
}

/** Receives callbacks; answers 200 unless told otherwise. */
export interface Receiver {
  url: string
  received: Received[]
  /** Answers the requests from now on; return nothing after answering, or a status. */
  answer: (received: Received, request: IncomingMessage, response: ServerResponse) => number | undefined
  /** The first callback, past or to come, of a job. */
  callbackOf(id: string, withinMs?: number): Promise<Callback>
  /** Resolves when so many callbacks have come. */
  count(n: number, withinMs?: number): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startReceiver(): Promise<Receiver> {
  const watchers = new Set<() => void>()
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    const received = { callback: JSON.parse(body), body, headers: request.headers, path: request.url ?? '' }
    receiver.received.push(received)
    const status = receiver.answer(received, request, response)
    if (status !== undefined) response.writeHead(status).end()
    for (const watcher of watchers) watcher()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  function until<T>(find: () => T | undefined, withinMs: number, what: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = find()
        if (found === undefined) return
        clearTimeout(timer)
        watchers.delete(look)
        resolve(found)
      }
      const timer = setTimeout(() => {
        watchers.delete(look)
        reject(new Error(`${what} within ${withinMs} ms; ${receiver.received.length} callbacks came`))
      }, withinMs)
      watchers.add(look)
      look()
    })
  }

  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/callback`,
    received: [],
    answer: () => 200,
    callbackOf: (id, withinMs = 15_000) =>
      until(
        () => receiver.received.find(({ callback }) => callback.job_id === id)?.callback,
        withinMs,
        `no callback of ${id}`,
      ),
    async count(n, withinMs = 15_000) {
      await until(() => (receiver.received.length >= n ? true : undefined), withinMs, `fewer than ${n} callbacks`)
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return receiver
}
