import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { ping, serverBinary } from '../../src/redis-server.ts'

export interface TestRedis extends AsyncDisposable {
  readonly port: number
  /** `127.0.0.1:port` */
  readonly addr: string
  /** Of the server that runs now; another one after `start`. */
  readonly pid: number
  /**
   * Sends one command over a connection of its own. The reply as text, as `redis-cli` prints it to a pipe: an element
   * a line, nothing for nil.
   *
   * @throws an error reply, and when the server is away
   */
  cli(command: string, ...args: string[]): Promise<string>
  /** Ends the server (default: SIGKILL, nothing is saved) and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again after `kill`: same port, same folder. */
  start(): Promise<void>
  /** Freezes the server: connections stay, nothing is answered. */
  pause(): void
  resume(): void
}

export interface TestRedisOptions {
  appendonly?: 'no' | 'everysec' | 'always'
  /** Further arguments of `redis-server`, e.g. `['--maxmemory', '2mb']`. */
  args?: string[]
  /** What its configuration file says at first; what the server writes there later outlives `kill` and `start`. */
  file?: string
}

const STARTUP_MS = 10_000

/** A real server of its own on a free port of 127.0.0.1; it dies with the test process, however that one ends. */
export async function startRedis({ appendonly = 'no', args = [], file }: TestRedisOptions = {}): Promise<TestRedis> {
  const dir = mkdtempSync(path.join(tmpdir(), 'redis-'))
  const configFile = path.join(dir, 'redis.conf')
  if (file !== undefined) writeFileSync(configFile, file)
  const first = file === undefined ? [] : [configFile]
  const persistence =
    appendonly === 'no' ? ['--appendonly', 'no'] : ['--appendonly', 'yes', '--appendfsync', appendonly]
  const common = ['--dir', dir, '--bind', '127.0.0.1', '--save', '', ...persistence, ...args]
  const launch = (port: number) => launched(port, dir, [...first, '--port', String(port), ...common])

  let port = await freePort()
  // Another process may have taken the port meanwhile: then the next one.
  let server = await launch(port).catch(async () => {
    port = await freePort()
    return launch(port)
  })

  return {
    port,
    addr: `127.0.0.1:${port}`,
    get pid() {
      return server.pid
    },
    cli: (...command) => ask(port, command),
    kill: (signal = 'SIGKILL') => server.end(signal),
    async start() {
      await server.end('SIGKILL')
      server = await launch(port)
    },
    pause: () => server.signal('SIGSTOP'),
    resume: () => server.signal('SIGCONT'),
    async [Symbol.asyncDispose]() {
      await server.end('SIGKILL')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

interface Server {
  pid: number
  signal(signal: NodeJS.Signals): void
  end(signal: NodeJS.Signals): Promise<void>
}

/** Resolves once the server answers at the port. */
async function launched(port: number, dir: string, args: string[]): Promise<Server> {
  const server = spawn(await serverBinary(), args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  let output = ''
  for (const stream of [server.stdout, server.stderr]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-4000)
    })
  }
  await once(server, 'spawn')
  const guard = guardOf(server, dir)
  server.once('exit', () => guard.kill('SIGKILL')) // its pid may be somebody else's soon
  // A test that forgets its server must not keep the test process from ending; the guard ends the server then.
  for (const handle of [server, server.stdout, server.stderr, guard, guard.stdin]) (handle as ChildProcess).unref()

  const gone = () => server.exitCode !== null || server.signalCode !== null
  const end = async (signal: NodeJS.Signals) => {
    server.ref()
    server.kill(signal)
    await exited
  }
  const deadline = Date.now() + STARTUP_MS
  while (!/^\+PONG|^-NOAUTH/.test(await ping({ host: '127.0.0.1', port }))) {
    if (gone() || Date.now() > deadline) {
      await end('SIGKILL')
      throw new Error(`redis-server did not start: ${output}`)
    }
    await delay(5)
  }
  return { pid: server.pid ?? 0, signal: (signal) => void server.kill(signal), end }
}

/** A shell that waits for the end of the pipe from us, which comes even with our SIGKILL, and then ends the server. */
function guardOf(server: ChildProcess, dir: string) {
  const script = 'read -r _; kill -KILL "$1"; rm -rf "$2"'
  const stdio = ['pipe', 'ignore', 'ignore'] as const
  return spawn('/bin/sh', ['-c', script, 'sh', String(server.pid), dir], { stdio: [...stdio], detached: true })
}

async function ask(port: number, [command = 'PING', ...args]: string[]): Promise<string> {
  const options = { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0, enableReadyCheck: false }
  const client = new Redis({ host: '127.0.0.1', port, ...options }).on('error', () => {})
  try {
    await client.connect()
    return asText(await client.call(command, ...args))
  } finally {
    client.disconnect()
  }
}

function asText(reply: unknown): string {
  return Array.isArray(reply) ? reply.map(asText).join('\n') : String(reply ?? '')
}

/** A port of 127.0.0.1 that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return address.port
}
