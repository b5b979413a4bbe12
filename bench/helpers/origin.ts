// The origin that all files come from, a process of its own. `/<bytes>/<delay in ms>/<name>` answers so many bytes after
// that time; the name is for us.
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { now } from '../clock.ts'
import { answer } from '../remote.ts'
import { tally } from './tally.ts'

const BLOCK = Buffer.alloc(1024 * 1024, 'a')

const requests = tally()
let open = 0
let maxOpen = 0
let openMs = 0
let changedMs = now()
let firstMs = 0
let lastMs = 0

function opened(change: number): void {
  const at = now()
  openMs += open * (at - changedMs)
  changedMs = at
  open += change
  maxOpen = Math.max(maxOpen, open)
  firstMs ||= at
  lastMs = at
}

const server = createServer((request, response) => {
  const [, bytes = '', delayMs = '', name = ''] = (request.url ?? '').split('/')
  requests.add(name)
  opened(1)
  response.once('close', () => opened(-1))
  if (Number(delayMs) > 0) setTimeout(() => send(response, Number(bytes)), Number(delayMs))
  else send(response, Number(bytes))
})

function send(response: ServerResponse, bytes: number): void {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': bytes })
  let left = bytes
  const more = () => {
    while (left > BLOCK.length) {
      left -= BLOCK.length
      if (!response.write(BLOCK)) return void response.once('drain', more)
    }
    response.end(BLOCK.subarray(0, left))
  }
  more()
}

export const commands = {
  /** Resolves to the address. */
  listen: () =>
    new Promise<string>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
    }),
  /** Counts from here on. */
  begin(): void {
    requests.clear()
    maxOpen = open
    openMs = 0
    changedMs = now()
    firstMs = 0
  },
  reached: requests.reached,
  report: () => ({
    /** Each request's name, and when it came. */
    requests: requests.entries(),
    /** Most requests open at any instant. */
    maxOpen,
    /** Open requests, summed over time: request·ms. */
    openMs,
    /** When the first request came, and when the last one that came or ended did. */
    firstMs,
    lastMs,
  }),
}
answer(commands)
