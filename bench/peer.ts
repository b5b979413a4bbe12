// Origin and receiver of the benchmarks, in a process of their own: `node --import tsx bench/peer.ts`. Talks over IPC.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What the peer counted since it was last asked to begin. */
export interface PeerReport {
  /** Callbacks: job id and when it came, ms by the clock that all processes share. */
  callbacks: [id: string, atMs: number][]
  /** Most requests open at the origin at any instant. */
  maxOpen: number
  /** Sum of open requests over time, in request·ms. */
  openMs: number
  /** When the last request came to the origin, by the clock that all processes share. */
  lastRequestMs: number
}

export type PeerMessage =
  | { kind: 'ready'; origin: string; receiver: string }
  | { kind: 'callback'; id: string; atMs: number }

const now = () => performance.timeOrigin + performance.now()
const body = Buffer.alloc(10 * 1024, 'a')
let open = 0
let maxOpen = 0
let openMs = 0
let since = now()
let callbacks: [string, number][] = []
let lastRequestMs = 0
const block = Buffer.alloc(256 * 1024, 'b')

function opened(change: number) {
  const at = now()
  openMs += open * (at - since)
  since = at
  open += change
  maxOpen = Math.max(maxOpen, open)
}

// `/<delay in ms>` answers 10 KiB after that time; `/bytes/<n>` answers so many.
const origin = createServer((request, response) => {
  opened(1)
  lastRequestMs = now()
  response.once('close', () => opened(-1))
  const [, bytes] = /^\/bytes\/(\d+)/.exec(request.url ?? '') ?? []
  if (bytes) return send(response, Number(bytes))
  const delayMs = Number(request.url?.slice(1) ?? 0)
  if (delayMs > 0) setTimeout(() => response.end(body), delayMs)
  else response.end(body)
})

function send(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-length': bytes })
  let left = bytes
  const more = () => {
    while (left > 0) {
      const piece = left < block.length ? block.subarray(0, left) : block
      left -= piece.length
      if (!response.write(piece) && left > 0) return void response.once('drain', more)
    }
    response.end()
  }
  more()
}

const receiver = createServer((request, response) => {
  let text = ''
  request.setEncoding('utf8')
  request.on('data', (chunk) => {
    text += chunk
  })
  request.on('end', () => {
    response.end()
    const id = /"job_id":"([^"]+)"/.exec(text)?.[1] ?? ''
    const atMs = now()
    callbacks.push([id, atMs])
    process.send?.({ kind: 'callback', id, atMs } satisfies PeerMessage)
  })
})

process.on('message', (message: 'begin' | 'report') => {
  if (message === 'report') {
    opened(0)
    process.send?.({ callbacks, maxOpen, openMs, lastRequestMs } satisfies PeerReport)
    return
  }
  callbacks = []
  maxOpen = open
  openMs = 0
  since = now()
})
process.on('disconnect', () => process.exit())

origin.listen(0, '127.0.0.1', () =>
  receiver.listen(0, '127.0.0.1', () => {
    const url = (server: typeof origin) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    process.send?.({ kind: 'ready', origin: url(origin), receiver: url(receiver) } satisfies PeerMessage)
  }),
)
