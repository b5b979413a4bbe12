import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { startRedis, type TestRedis } from '../test/support/redis.ts'
import type { PeerMessage, PeerReport } from './peer.ts'

const main = path.resolve(import.meta.dirname, '../dist/main.js')

export interface StageOptions {
  processors?: number
  /** Downloads at once of each processor. */
  concurrency?: number
  /** Callbacks at once. */
  callbacks?: number
}

/** The service in processes of their own, with Redis, origin and receiver; a driver's view of it. */
export interface Stage {
  api: string
  origin: string
  receiver: string
  redis: TestRedis
  /** Posts one job; resolves to its id. */
  post(job: object): Promise<string>
  /** Resolves when the callback of a job has come, to when that was, by `performance.timeOrigin + performance.now()`. */
  called(id: string): Promise<number>
  /** Resolves when so many callbacks have come since `begin`. */
  count(n: number): Promise<void>
  begin(): void
  report(): Promise<PeerReport>
  /** CPU ms used so far, by process. */
  cpuMs(): Record<string, number>
  /** Resident bytes now, by process. */
  rss(): Record<string, number>
  /** Commands that Redis has run for clients, and how many it read from sockets at once. */
  redisCalls(): Promise<{ commands: number; reads: number }>
  [Symbol.asyncDispose](): Promise<void>
}

export async function openStage({
  processors = 1,
  concurrency = 256,
  callbacks = 50,
}: StageOptions = {}): Promise<Stage> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-bench-'))
  const redis = await startRedis()
  const children = new Map<string, ChildProcess>()
  const config = path.join(dir, 'config.json')
  await writeFile(
    config,
    JSON.stringify({
      redis: { addr: redis.addr },
      api: { port: 0 },
      processor: {
        filestorage: { type: 'filesystem', rootdir: path.join(dir, 'files') },
        storage_dir: path.join(dir, 'tmp'),
        download_url: 'http://files.test',
        allow_networks: ['127.0.0.0/8'],
        concurrency,
      },
      notifier: { concurrency: callbacks },
      backends: { http: {} },
    }),
  )

  const peer = fork(path.join(import.meta.dirname, 'peer.ts'), { execArgv: ['--import', 'tsx'] })
  const [ready] = (await once(peer, 'message')) as [Extract<PeerMessage, { kind: 'ready' }>]
  const waiting = new Map<string, (atMs: number) => void>()
  const came = new Map<string, number>()
  let counted = 0
  let counter: { n: number; resolve: () => void } | undefined
  peer.on('message', (message: PeerMessage | PeerReport) => {
    if (!('kind' in message) || message.kind !== 'callback') return
    came.set(message.id, message.atMs)
    waiting.get(message.id)?.(message.atMs)
    if (++counted === counter?.n) counter.resolve()
  })

  let api = ''
  const start = async (name: string, role: string) => {
    const child = spawn(process.execPath, [main, role, '-c', config], { stdio: ['ignore', 'ignore', 'pipe'] })
    children.set(name, child)
    process.once('exit', () => child.kill('SIGKILL'))
    await new Promise<void>((resolve) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        if (role === 'api' && line.includes('"listening"')) api = JSON.parse(line).url
        if (/"msg":"(listening|\w+ started)"/.test(line)) resolve()
      })
    })
  }
  await start('api', 'api')
  await start('notifier', 'notifier')
  for (let i = 1; i <= processors; i++) await start(processors === 1 ? 'processor' : `processor ${i}`, 'processor')

  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  const pids = () => [...[...children].map(([name, { pid }]) => [name, pid] as const), ['redis', redis.pid] as const]

  return {
    api,
    origin: ready.origin,
    receiver: ready.receiver,
    redis,
    post: (job) =>
      new Promise((resolve, reject) => {
        const request = http.request(`${api}/download`, { method: 'POST', agent }, (response) => {
          let text = ''
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => {
            if (response.statusCode === 201) resolve(JSON.parse(text).id)
            else reject(new Error(text))
          })
        })
        request.on('error', reject)
        request.end(JSON.stringify({ callback_type: 'http', callback_dst: ready.receiver, ...job }))
      }),
    called(id) {
      const atMs = came.get(id)
      return atMs === undefined ? new Promise((resolve) => waiting.set(id, resolve)) : Promise.resolve(atMs)
    },
    count: (n) => {
      if (counted >= n) return Promise.resolve()
      return new Promise((resolve) => {
        counter = { n, resolve }
      })
    },
    begin() {
      counted = 0
      came.clear()
      waiting.clear()
      peer.send('begin')
    },
    async report() {
      const answer = new Promise<PeerReport>((resolve) => {
        const listen = (message: PeerMessage | PeerReport) => {
          if (!('callbacks' in message)) return
          peer.off('message', listen)
          resolve(message)
        }
        peer.on('message', listen)
      })
      peer.send('report')
      return answer
    },
    cpuMs: () => Object.fromEntries(pids().map(([name, pid]) => [name, cpuMsOf(pid ?? 0)])),
    rss: () => Object.fromEntries(pids().map(([name, pid]) => [name, rssOf(pid ?? 0)])),
    async redisCalls() {
      const stats = await redis.cli('INFO', 'stats')
      const number = (name: string) => Number(new RegExp(`${name}:(\\d+)`).exec(stats)?.[1] ?? 0)
      return { commands: number('total_commands_processed'), reads: number('total_reads_processed') }
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
      peer.kill()
      for (const child of children.values()) child.kill()
      await Promise.all([...children.values()].map((child) => once(child, 'exit')))
      await redis[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** User and system time, in ms; Linux counts in 10 ms. */
function cpuMsOf(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13) ?? []
  return (Number(user) + Number(system)) * 10
}

function rssOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}
