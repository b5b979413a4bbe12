import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A 2 × 2 picture. */
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP4z8DAwMDAxAADLBAMEQYADEQBBfeuREkAAAAASUVORK5CYII=',
  'base64',
)
const LONGEST_MS = 60_000

/** Runs the service until `stop` aborts, and says where its API listens. */
export type RunService = (stop: AbortSignal, onListening: (url: string) => void) => Promise<void>

/**
 * Shows whole jobs: a small origin and a receiver on this machine, a few downloads that end in different ways, and each
 * callback as a line of JSON on standard output. Resolves after the last one.
 */
export async function demo(run: RunService, stop: AbortSignal): Promise<void> {
  const done = new AbortController()
  const end = () => done.abort()
  stop.addEventListener('abort', end, { once: true })
  const timer = setTimeout(end, LONGEST_MS)
  let failure: unknown
  let left = Number.POSITIVE_INFINITY

  const origin = await listen(answerAsOrigin())
  const receiver = await listen(async (request, response) => {
    process.stdout.write(`${JSON.stringify(JSON.parse(await textOf(request)))}\n`)
    response.writeHead(200).end()
    if (--left === 0) end()
  })
  try {
    await run(done.signal, (api) => {
      const jobs = demoJobs(origin.url, `${receiver.url}/callback`)
      left = jobs.length
      process.stderr.write(`\n${jobs.length} downloads are on their way; their callbacks:\n\n`)
      enqueue(api, jobs).catch((error: unknown) => {
        failure = error
        end()
      })
    })
  } finally {
    clearTimeout(timer)
    stop.removeEventListener('abort', end)
    for (const { server } of [origin, receiver]) {
      server.close()
      server.closeAllConnections()
    }
  }
  if (failure) throw failure
  if (left > 0 && !stop.aborted) throw new Error(`${left} callbacks did not come within ${LONGEST_MS / 1000} s`)
}

function demoJobs(origin: string, receiver: string) {
  const common = { aggr_id: 'demo', aggr_limit: 2, callback_type: 'http', callback_dst: receiver }
  return [
    { ...common, url: `${origin}/picture.png`, mime_type: 'image/*', extract_image_size: true, extra: 'a picture' },
    { ...common, url: `${origin}/page.html`, mime_type: 'image/*', extra: 'a page where a picture was expected' },
    { ...common, url: `${origin}/missing`, extra: 'there is no such thing' },
    { ...common, aggr_id: 'demo-flaky', url: `${origin}/flaky`, extra: 'busy at first, then fine' },
  ]
}

function answerAsOrigin() {
  let asked = 0
  return (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/picture.png') response.writeHead(200, { 'content-type': 'image/png' }).end(PNG)
    else if (request.url === '/page.html')
      response.writeHead(200).end('<!doctype html><title>Sorry</title><p>Not a picture.')
    else if (request.url !== '/flaky') response.writeHead(404).end()
    else if (asked++ === 0) response.writeHead(503, { 'retry-after': '1' }).end()
    else response.writeHead(200).end('Here it is.\n')
  }
}

async function enqueue(api: string, jobs: object[]): Promise<void> {
  for (const job of jobs) {
    const response = await fetch(`${api}/download`, { method: 'POST', body: JSON.stringify(job) })
    if (response.status !== 201) throw new Error(`POST /download answered ${response.status}: ${await response.text()}`)
    await response.body?.cancel()
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += chunk
  return text
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>

async function listen(handler: Handler): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => void handler(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
