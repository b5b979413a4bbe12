// The outside of the service under test: an origin and receivers that write down what they see. A process of its own,
// so that what it sees is stamped at once, whatever the driver does.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { contentOf } from './content.ts'

/** How the origin treats a job: `times` times badly, then well. In the URL, so that nobody has to be told. */
export type Trouble = 'none' | 'slow' | 'reset' | 'stall' | 'cut' | '500' | '429'

export interface GroupReport {
  /** Most requests open at once. */
  most: number
  /** The same without those of processes that were frozen while they had them open. */
  mostOfTheLiving: number
  requests: number
}

export interface Report {
  groups: Record<string, GroupReport>
  /** Every callback: the number of the job, its id, whether it was a success, when it came (ms since the epoch). */
  callbacks: { n: number; id: string; success: boolean; code: string; sha256: string; at: number }[]
  /** Callbacks that are being answered. */
  answering: number
  /** Last request of each processor, by its mark, ms since the epoch. */
  lastRequest: Record<string, number>
  /** Requests that each processor has open. */
  open: Record<string, number>
}

export type ToRecorder = { kind: 'report' } | { kind: 'frozen'; processor: string } | { kind: 'heal' }
export type FromRecorder = { kind: 'ready'; origin: string; receiver: string } | { kind: 'report'; report: Report }

interface Open {
  group: string
  processor: string
  frozen: boolean
}

const open = new Set<Open>()
const groups: Record<string, GroupReport> = {}
const lastRequest: Record<string, number> = {}
const callbacks: Report['callbacks'] = []
const attempts = new Map<string, number>()
const refusals = new Map<string, number>()
let answering = 0
let healed = false

/** `/g/<group>/<n>/<trouble>/<times>/<ms>` */
function serve(request: IncomingMessage, response: ServerResponse): void {
  const [, , group = '', n = '0', trouble = 'none', times = '0', ms = '0'] = (request.url ?? '').split('/')
  const processor = String(request.headers['x-processor'] ?? '')
  const seen: Open = { group, processor, frozen: false }
  open.add(seen)
  response.once('close', () => open.delete(seen))
  lastRequest[processor] = Date.now()
  count(group)

  const attempt = (attempts.get(n) ?? 0) + 1
  attempts.set(n, attempt)
  const content = contentOf(Number(n))
  const well = () => response.end(content)
  const timer = setTimeout(() => {
    if (attempt > Number(times)) return well()
    switch (trouble as Trouble) {
      case 'reset':
        return request.socket.resetAndDestroy()
      case 'stall':
        return void response.write(content.subarray(0, 100)) // and then nothing
      case 'cut':
        response.writeHead(200, { 'content-length': content.length })
        return void response.write(content.subarray(0, 200), () => response.destroy())
      case '500':
        return void response.writeHead(500).end('trouble')
      case '429':
        return void response.writeHead(429, { 'retry-after': '0' }).end()
      case 'slow':
        response.write(content.subarray(0, 100))
        return void setTimeout(() => response.end(content.subarray(100)), 600)
      case 'none':
        return well()
    }
  }, Number(ms))
  response.once('close', () => clearTimeout(timer))
}

function count(group: string): void {
  const report = groups[group] ?? { most: 0, mostOfTheLiving: 0, requests: 0 }
  groups[group] = report
  const now = [...open].filter((one) => one.group === group)
  report.requests++
  report.most = Math.max(report.most, now.length)
  report.mostOfTheLiving = Math.max(report.mostOfTheLiving, now.filter(({ frozen }) => !frozen).length)
}

/** `/<manner>`: `good`, `hangs` (until it heals), `fails` (the first two times that a job is told of). */
async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  answering++
  response.once('close', () => answering--)
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk)
  } catch {
    return // it was cut off: nothing was delivered
  }
  const manner = request.url?.slice(1)
  if (!healed && manner === 'hangs') return
  const callback = JSON.parse(Buffer.concat(chunks).toString())
  const { job_id: id, success, error_code: code, sha256, extra } = callback
  const told = (refusals.get(id) ?? 0) + 1
  refusals.set(id, told)
  if (manner === 'fails' && told <= 2) return void response.writeHead(500).end()
  callbacks.push({ n: Number(extra), id, success, code, sha256, at: Date.now() })
  response.end()
}

function report(): Report {
  const openOf: Record<string, number> = {}
  for (const { processor } of open) openOf[processor] = (openOf[processor] ?? 0) + 1
  return { groups, callbacks, answering, lastRequest, open: openOf }
}

async function listen(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

process.on('message', (message: ToRecorder) => {
  if (message.kind === 'report') process.send?.({ kind: 'report', report: report() } satisfies FromRecorder)
  if (message.kind === 'heal') healed = true
  if (message.kind === 'frozen') for (const one of open) if (one.processor === message.processor) one.frozen = true
})
process.once('disconnect', () => process.exit())
const origin = await listen(serve)
const receiver = await listen((request, response) => void receive(request, response))
process.send?.({ kind: 'ready', origin, receiver } satisfies FromRecorder)
