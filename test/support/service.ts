import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { Callback } from '../../src/jobs/callback.ts'
import { type Receiver, startReceiver } from './http-receiver.ts'
import { assertDocumented } from './openapi.ts'
import { startRedis, type TestRedis } from './redis.ts'

export const mainFile = path.resolve(import.meta.dirname, '../../dist/main.js')

/** A process of the built service. */
export interface Role {
  name: string
  child: ChildProcess
  /** All log lines so far. */
  logs: Record<string, unknown>[]
  /** Everything on standard output so far. */
  stdout(): string
  /** Everything on standard error that is no log line. */
  stderr(): string
  /** The first log line, past or to come, that `matches`. */
  logged(matches: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>
  /** Sends a signal and waits for the end; the exit code, or the signal's name. */
  end(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
  ended: Promise<number | NodeJS.Signals>
}

interface RoleOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** What it reads from standard input. */
  input?: string
}

const WAIT_MS = 15_000

/** Starts `node dist/main.js …args`; it dies with the test process. */
export function startRole(args: string[], options: RoleOptions = {}): Role {
  const env = options.env ?? { PATH: process.env.PATH ?? '' }
  const child = spawn(process.execPath, [mainFile, ...args], {
    cwd: options.cwd,
    env,
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin?.on('error', () => {}) // it reads none of it
  child.stdin?.end(options.input)
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const logs: Record<string, unknown>[] = []
  const watchers = new Set<() => void>()
  let out = ''
  let err = ''
  child.stdout?.on('data', (data) => {
    out += data
  })
  if (child.stderr) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (line.startsWith('{')) logs.push(JSON.parse(line))
      else err += `${line}\n`
      for (const watcher of watchers) watcher()
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => {
    process.off('exit', kill)
    return code ?? signal
  })
  const role: Role = {
    name: args[0] ?? '',
    child,
    logs,
    stdout: () => out,
    stderr: () => err,
    ended,
    logged: (matches) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const line = logs.find(matches)
          if (!line) return
          done()
          resolve(line)
        }
        const fail = (why: string) => {
          done()
          reject(new Error(`${args.join(' ')}: ${why}\n${err}${logs.map((line) => JSON.stringify(line)).join('\n')}`))
        }
        const timer = setTimeout(fail, WAIT_MS, 'the expected log line did not come')
        const done = () => {
          clearTimeout(timer)
          watchers.delete(look)
        }
        watchers.add(look)
        void ended.then((code) => fail(`ended with ${code}`))
        look()
      }),
    async end(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return ended
    },
  }
  return role
}

type Tree = Record<string, unknown>

/**
 * Asks an API; the answer is compared with its OpenAPI document.
 *
 * @param url path and all
 */
export async function ask(
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  const text = typeof body === 'string' || body === undefined ? (body ?? null) : JSON.stringify(body)
  const response = await fetch(url, { method, headers, body: text, redirect: 'manual' })
  await assertDocumented(method, url, response)
  return response
}

export interface ServiceOptions {
  /** Sections that are laid over the test's configuration, key by key. */
  config?: { redis?: Tree; api?: Tree; processor?: Tree; notifier?: Tree; backends?: Tree; log?: Tree; tracing?: Tree }
  /** The processes to run; `api`, `processor` and `notifier` by default. */
  roles?: string[]
  env?: NodeJS.ProcessEnv
  redis?: TestRedis
}

export interface Service {
  url: string
  dir: string
  /** Root of the files. */
  root: string
  tempDir: string
  configFile: string
  redis: TestRedis
  receiver: Receiver
  roles: Role[]
  role(name: string): Role
  /** Starts one more process. */
  add(name: string): Promise<Role>
  /** `POST /download` with defaults that a test does not care about; resolves to the id. */
  enqueue(job: Tree): Promise<string>
  /** Enqueues, and waits for the callback. */
  download(job: Tree): Promise<Callback>
  /** See `ask`. */
  send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  get(path: string): Promise<Response>
  [Symbol.asyncDispose](): Promise<void>
}

/** The built service as its users see it: processes, a Redis, a receiver; everything goes when it is disposed of. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-test-'))
  const redis = options.redis ?? (await startRedis())
  const receiver = await startReceiver()
  const { config = {} } = options
  const root = path.join(dir, 'files')
  const tempDir = path.join(dir, 'tmp')
  const whole = {
    redis: { addr: redis.addr, ...config.redis },
    api: { port: 0, ...config.api },
    processor: {
      filestorage: { type: 'filesystem', rootdir: root },
      storage_dir: tempDir,
      download_url: 'http://files.test/base',
      allow_networks: ['127.0.0.0/8', '::1/128'],
      stats_interval: 100,
      retry_backoff_ms: 50,
      ...config.processor,
    },
    notifier: { stats_interval: 100, retry_backoff_ms: 50, ...config.notifier },
    backends: { http: { timeout: 5 }, ...config.backends },
    ...(config.log && { log: config.log }),
    ...(config.tracing && { tracing: config.tracing }),
  }
  const configFile = path.join(dir, 'config.json')
  await writeFile(configFile, JSON.stringify(whole))
  const env = { PATH: process.env.PATH ?? '', LOG_LEVEL: 'debug', ...options.env }

  const roles: Role[] = []
  let url = ''
  const service: Service = {
    get url() {
      return url
    },
    dir,
    root,
    tempDir,
    configFile,
    redis,
    receiver,
    roles,
    role(name) {
      const role = roles.find((role) => role.name === name)
      if (!role) throw new Error(`no ${name} runs`)
      return role
    },
    async add(name) {
      const role = startRole([name, '-c', configFile], { env, cwd: dir })
      roles.push(role)
      await role.logged(({ msg }) => msg === (name === 'api' || name === 'start' ? 'listening' : `${name} started`))
      return role
    },
    async enqueue(job) {
      const response = await service.post('/download', {
        aggr_id: 'test',
        aggr_limit: 8,
        callback_type: 'http',
        callback_dst: receiver.url,
        ...job,
      })
      const body = (await response.json()) as { id: string; detail?: string }
      if (response.status !== 201) throw new Error(`${response.status}: ${body.detail}`)
      return body.id
    },
    async download(job) {
      return receiver.callbackOf(await service.enqueue(job))
    },
    send: (method, path, body, headers) => ask(method, `${url}${path}`, body, headers),
    post: (path, body, headers) => service.send('POST', path, body, headers),
    get: (path) => service.send('GET', path),
    async [Symbol.asyncDispose]() {
      await Promise.all(roles.map((role) => role.end('SIGKILL')))
      await receiver[Symbol.asyncDispose]()
      if (!options.redis) await redis[Symbol.asyncDispose]()
      await rm(dir, { recursive: true, force: true })
    },
  }
  try {
    const started = await Promise.all(
      (options.roles ?? ['api', 'processor', 'notifier']).map((name) => service.add(name)),
    )
    const api = started.find(({ name }) => name === 'api' || name === 'start')
    url = String(api?.logs.find(({ msg }) => msg === 'listening')?.url ?? '')
  } catch (error) {
    await service[Symbol.asyncDispose]()
    throw error
  }
  return service
}
