// An origin that takes so many requests a second and no more, a process of its own: a token bucket, 429 when it is empty.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { now } from '../clock.ts'
import { answer } from '../remote.ts'

let perSecond = 1
let tokens = 1
let filledMs = now()
let beganMs = now()
/** By second since it began. */
let taken: number[] = []
let refused: number[] = []

function mayPass(): boolean {
  const at = now()
  tokens = Math.min(perSecond, tokens + ((at - filledMs) / 1000) * perSecond)
  filledMs = at
  if (tokens < 1) return false
  tokens--
  return true
}

const server = createServer((_, response) => {
  const second = Math.floor((now() - beganMs) / 1000)
  const passes = mayPass()
  const counts = passes ? taken : refused
  counts[second] = (counts[second] ?? 0) + 1
  if (passes) response.writeHead(200, { 'content-type': 'text/plain' }).end('a'.repeat(1024))
  else response.writeHead(429, { 'retry-after': '1' }).end()
})

export const commands = {
  /** Resolves to the address. */
  listen: (rate: number) =>
    new Promise<string>((resolve) => {
      perSecond = rate
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
    }),
  begin(): void {
    tokens = perSecond
    filledMs = now()
    beganMs = now()
    taken = []
    refused = []
  },
  /** How many requests were taken and refused in each second since it began. */
  report(seconds: number): { taken: number[]; refused: number[] } {
    const filled = (counts: number[]) => Array.from({ length: seconds }, (_, i) => counts[i] ?? 0)
    return { taken: filled(taken), refused: filled(refused) }
  },
}
answer(commands)
