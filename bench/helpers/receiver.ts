// The receiver of all callbacks, a process of its own.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answer } from '../remote.ts'
import { tally } from './tally.ts'

const callbacks = tally()

const server = createServer((request, response) => {
  let text = ''
  request.setEncoding('utf8')
  request.on('data', (chunk) => {
    text += chunk
  })
  request.on('end', () => {
    response.end()
    const failed = text.includes('"success":false') ? ' failed' : ''
    callbacks.add((/"job_id":"([^"]+)"/.exec(text)?.[1] ?? '') + failed)
  })
})

export const commands = {
  /** Resolves to the address. */
  listen: () =>
    new Promise<string>((resolve) => {
      server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
    }),
  begin: callbacks.clear,
  reached: callbacks.reached,
  /** The job of each callback, and when it came. */
  report: callbacks.entries,
}
answer(commands)
