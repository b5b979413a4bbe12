import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Callback } from '../../src/jobs/callback.ts'
import { planOf, reactionTo } from './plan.ts'
import { NOTIFIERS, RECEIVERS, type ReceiverName } from './settings.ts'
import type { Visit, VisitRecorder } from './visits.ts'

/** A callback that came, and what the receiver did with it. */
export interface Delivery {
  visit: Visit
  /** Whether a 2xx was sent. */
  accepted: boolean
  jobId: string
  success: boolean
  errorCode: string
  error: string
  size: number
  sha256: string
}

/** Receivers that record every callback, and react as the plan of the job says. */
export async function startReceivers(seed: string, recorder: VisitRecorder) {
  const deliveries: Delivery[] = []
  const called = new Map<number, number>()
  const urls: Partial<Record<ReceiverName, string>> = {}

  async function take(name: ReceiverName, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { visit, end } = recorder.begin(request.socket, name, '?', -1)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString()
    const callback = JSON.parse(body) as Callback
    visit.n = Number(callback.extra)
    visit.who = signerOf(request.headers, body)
    const { job_id: jobId, success, error_code: errorCode, error, size, sha256 } = callback
    const delivery: Delivery = { visit, accepted: false, jobId, success, errorCode, error, size, sha256 }
    deliveries.push(delivery)

    const count = called.get(visit.n) ?? 0
    called.set(visit.n, count + 1)
    const reaction = reactionTo(planOf(seed, visit.n), count)
    if (reaction.kind === 'hang') return // whoever called hangs up
    if (reaction.kind === 'accept') await delay(reaction.delayMs)
    if (visit.endMs !== undefined) return // nobody is there to hear it
    delivery.accepted = reaction.kind === 'accept'
    end(delivery.accepted ? 'accepted' : 'refused')
    response.writeHead(delivery.accepted ? 200 : 500).end()
  }

  for (const name of RECEIVERS) {
    const server = createServer((request, response) => {
      void take(name, request, response).catch(() => request.destroy())
    })
    server.keepAliveTimeout = 60_000
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    urls[name] = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  }
  return { deliveries, urls: urls as Record<ReceiverName, string> }
}

/** Each notifier signs with its own name as the key (Standard Webhooks 1.0), and is known by it. */
function signerOf(headers: IncomingHttpHeaders, body: string): string {
  const text = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
  const signature = String(headers['webhook-signature'] ?? '')
  const signer = NOTIFIERS.find(
    (name) => signature === `v1,${createHmac('sha256', name).update(text).digest('base64')}`,
  )
  return signer ?? '?'
}
