import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import type { Log } from '../log.ts'
import { type Checks, readiness } from './readiness.ts'

export interface MonitorOptions {
  host: string
  /** 0: there is none. */
  port: number
  registry: Pick<Registry, 'metrics' | 'contentType'>
  checks: Checks
  log: Log
}

/** `/metrics`, `/livez` and `/readyz` of a worker, on a port of their own, until it is closed. */
export async function startMonitor({ host, port, registry, checks, log }: MonitorOptions) {
  if (port === 0) return { close: async () => {} }
  const examine = readiness(checks)
  const routes: Record<string, () => Promise<Answer>> = {
    '/metrics': async () => ({ status: 200, type: registry.contentType, body: await registry.metrics() }),
    '/livez': async () => ({ status: 200, body: 'OK' }),
    '/readyz': async () => {
      const { ready, lines } = await examine()
      return { status: ready ? 200 : 503, body: lines.join('\n') }
    },
  }

  async function answer(request: IncomingMessage, response: ServerResponse) {
    const route = routes[(request.url ?? '').split('?')[0] ?? '']
    const reads = request.method === 'GET' || request.method === 'HEAD'
    const answer = !route ? { status: 404, body: 'Not Found' } : reads ? await route() : notAllowed
    const { status, type = 'text/plain; charset=utf-8', body, headers = {} } = answer as Answer
    response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff', ...headers })
    response.end(request.method === 'HEAD' ? undefined : `${body}${body.endsWith('\n') ? '' : '\n'}`)
  }

  const limits = { headersTimeout: 5000, requestTimeout: 5000, connectionsCheckingInterval: 1000 }
  const server = createServer(limits, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.error({ err: error }, 'a question about this process could not be answered')
      response.destroy()
    })
  })
  server.listen(port, host)
  await once(server, 'listening')
  const { address, family } = server.address() as AddressInfo
  log.info({ url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/metrics` }, 'metrics')
  return {
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

interface Answer {
  status: number
  type?: string
  body: string
  headers?: Record<string, string>
}

const notAllowed: Answer = { status: 405, body: 'Method Not Allowed', headers: { allow: 'GET, HEAD' } }
