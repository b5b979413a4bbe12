import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { answerTo, contentOf, type Plan, planOf } from './plan.ts'
import type { VisitRecorder } from './visits.ts'

/** Header in which each processor names itself. */
export const WORKER_HEADER = 'x-worker'

/** Between two pieces of a slow body. */
const PIECE_MS = 120

/**
 * An origin that answers `/<number>` as the plan of the job says, and records who has what open.
 *
 * @returns its URL
 */
export async function startOrigin(seed: string, recorder: VisitRecorder): Promise<string> {
  const asked = new Map<number, number>()
  const server = createServer((request, response) => {
    const n = Number((request.url ?? '').slice(1))
    const plan = planOf(seed, n)
    const count = asked.get(n) ?? 0
    asked.set(n, count + 1)
    const who = String(request.headers[WORKER_HEADER] ?? '?')
    const { end } = recorder.begin(request.socket, plan.aggregation, who, n)
    void answer(request, response, plan, count, end).catch((error: unknown) => {
      end(`broken: ${error}`)
      request.socket.destroy()
    })
  })
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function answer(
  { socket }: IncomingMessage,
  response: ServerResponse,
  plan: Plan,
  count: number,
  end: (how: string) => void,
): Promise<void> {
  const how = answerTo(plan, count)
  await delay(how.delayMs)
  if (how.kind === 'reset') {
    end('reset')
    socket.resetAndDestroy()
    return
  }
  if (how.kind === 'status') {
    end(`status ${how.status}`)
    response.writeHead(how.status).end()
    return
  }
  const body = contentOf(plan)
  const half = Math.ceil(body.length / 2)
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': body.length })
  response.flushHeaders()
  if (how.kind === 'truncated') {
    await written(response, body.subarray(0, half - 1))
    end('truncated')
    socket.destroy()
    return
  }
  if (how.kind === 'stall') {
    response.write(body.subarray(0, half - 1)) // whoever asked hangs up
    return
  }
  const pieces = how.kind === 'slow' ? how.pieces : 1
  const last = body.length - 1 // kept back until all else is on its way, so that the end is not stamped too early
  for (let i = 0; i < pieces; i++) {
    if (i > 0) await delay(PIECE_MS)
    await written(response, body.subarray(Math.floor((last * i) / pieces), Math.floor((last * (i + 1)) / pieces)))
  }
  end(how.kind)
  response.end(body.subarray(last))
}

/** Resolves when the system has the bytes, or nobody wants them any more. */
async function written(response: ServerResponse, bytes: Buffer): Promise<void> {
  if (bytes.length === 0 || response.destroyed) return
  await new Promise<void>((resolve) => {
    response.once('close', resolve)
    response.write(bytes, () => {
      response.off('close', resolve)
      resolve()
    })
  })
}
