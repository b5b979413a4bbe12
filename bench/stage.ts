import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { startRedis, type TestRedis } from '../test/support/redis.ts'
import type { PeerMessage, PeerReport } from './peer.ts'

const main = path.resolve(import.meta.dirname, '../dist/main.js')

/** Origin, receiver and a Redis, in processes of their own. */
export interface Outside extends AsyncDisposable {
  readonly dir: string
  readonly origin: string
  readonly receiver: string
  readonly redis: TestRedis
  /** Resolves when the callback of a job has come, to when that was, by `performance.timeOrigin + performance.now()`. */
  called(id: string): Promise<number>
  /** Resolves when so many callbacks have come since `begin`. */
  count(n: number): Promise<void>
  begin(): void
  report(): Promise<PeerReport>
  /** Starts a process that is measured; resolves with the first line of its standard error that matches. */
  start(name: string, command: string[], ready: RegExp): Promise<string>
  /** Sends JSON, over connections that are kept; resolves to the answer. */
  post(url: string, body: object): Promise<Record<string, string>>
  /** CPU ms used so far, by process. */
  cpuMs(): Record<string, number>
  /** Resident bytes now, by process. */
  rss(): Record<string, number>
  /** Open files and sockets now, by process. */
  files(): Record<string, number>
  /** Commands that Redis has run, those inside of scripts included, and how many it read from sockets at once. */
  redisCalls(): Promise<{ commands: number; reads: number }>
  /** Bytes that Redis uses. */
  redisBytes(): Promise<number>
}

export async function openOutside(): Promise<Outside> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-bench-'))
  const redis = await startRedis()
  const children = new Map<string, ChildProcess>()
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
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 })
  const pids = () => [...[...children].map(([name, { pid }]) => [name, pid] as const), ['redis', redis.pid] as const]
  const each = (read: (pid: number) => number) =>
    Object.fromEntries(pids().map(([name, pid]) => [name, read(pid ?? 0)]))
  const info = async (section: string, field: string) =>
    Number(new RegExp(`${field}:(\\d+)`).exec(await redis.cli('INFO', section))?.[1] ?? 0)

  return {
    dir,
    origin: ready.origin,
    receiver: ready.receiver,
    redis,
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
      peer.send('report')
      for (;;) {
        const [message] = (await once(peer, 'message')) as [PeerMessage | PeerReport]
        if (!('kind' in message)) return message
      }
    },
    async start(name, command, ready) {
      const [program = '', ...args] = command
      const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
      children.set(name, child)
      process.once('exit', () => child.kill('SIGKILL'))
      return new Promise((resolve, reject) => {
        let said = ''
        createInterface({ input: child.stderr }).on('line', (line) => {
          if (said.length < 4000) said += `${line}\n`
          if (ready.test(line)) resolve(line)
        })
        child.once('exit', (code) => reject(new Error(`${name} ended with ${code}: ${said}`)))
      })
    },
    post: (url, body) =>
      new Promise((resolve, reject) => {
        const request = http.request(url, { method: 'POST', agent }, (response) => {
          let text = ''
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => {
            if (response.statusCode === 201) resolve(JSON.parse(text))
            else reject(new Error(text))
          })
        })
        request.on('error', reject)
        request.end(JSON.stringify(body))
      }),
    cpuMs: () => each(cpuMsOf),
    rss: () => each((pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024),
    files: () => each((pid) => readdirSync(`/proc/${pid}/fd`).length),
    redisCalls: async () => ({
      commands: await info('stats', 'total_commands_processed'),
      reads: await info('stats', 'total_reads_processed'),
    }),
    redisBytes: () => info('memory', 'used_memory'),
    async [Symbol.asyncDispose]() {
      agent.destroy()
      peer.kill()
      for (const child of children.values()) child.kill()
      await Promise.all(
        [...children.values()].map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')),
      )
      await redis[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

/** User and system time of all threads, in ms; Linux counts in 10 ms. */
function cpuMsOf(pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13) ?? []
  return (Number(user) + Number(system)) * 10
}

export interface StageOptions {
  processors?: number
  /** Downloads at once of each processor. */
  concurrency?: number
  /** Callbacks at once. */
  callbacks?: number
  /** Starts API and notifier only; processors are started by `addProcessor`. */
}

/** The service, and what is outside of it. */
export interface Stage extends Outside {
  /** Posts one job; resolves to its id. */
  enqueue(job: object): Promise<string>
  addWorkers(): Promise<void>
}

/** @param late the workers are not started: `addWorkers` does */
export async function openStage(options: StageOptions = {}, late = false): Promise<Stage> {
  const { processors = 1, concurrency = 256, callbacks = 50 } = options
  const outside = await openOutside()
  const config = path.join(outside.dir, 'config.json')
  await writeFile(
    config,
    JSON.stringify({
      redis: { addr: outside.redis.addr },
      api: { port: 0 },
      processor: {
        filestorage: { type: 'filesystem', rootdir: path.join(outside.dir, 'files') },
        storage_dir: path.join(outside.dir, 'tmp'),
        download_url: 'http://files.test',
        allow_networks: ['127.0.0.0/8'],
        concurrency,
      },
      notifier: { concurrency: callbacks },
      backends: { http: {} },
    }),
  )
  const role = (name: string) => [process.execPath, ...profiled(name), main, name, '-c', config]
  const listening = await outside.start('api', role('api'), /"listening"/)
  const api = JSON.parse(listening).url as string
  const stage: Stage = {
    ...outside,
    async enqueue(job) {
      const whole = { callback_type: 'http', callback_dst: outside.receiver, ...job }
      return (await outside.post(`${api}/download`, whole)).id ?? ''
    },
    async addWorkers() {
      await outside.start('notifier', role('notifier'), /notifier started/)
      for (let i = 1; i <= processors; i++) {
        await outside.start(processors === 1 ? 'processor' : `processor ${i}`, role('processor'), /processor started/)
      }
    },
  }
  if (!late) await stage.addWorkers()
  return stage
}

/** `PROFILE=processor npm run bench -- throughput` leaves a .cpuprofile of that role in bench/. */
function profiled(role: string): string[] {
  return process.env.PROFILE === role ? ['--cpu-prof', `--cpu-prof-dir=${import.meta.dirname}`] : []
}
