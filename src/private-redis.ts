import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { access, lstat, mkdir, realpath } from 'node:fs/promises'
import { createConnection, type NetConnectOpts, type Socket } from 'node:net'
import path from 'node:path'
import { pause } from './deadline.ts'
import { exclusively } from './exclusively.ts'
import type { Log } from './log.ts'

/** The Redis of `start`, for who has none: a server of our own on a unix socket, its data in an append-only file. */
export interface PrivateRedis {
  /** Path of its unix socket; it stays the same, whichever server listens there. */
  socket: string
  /** Whether another process runs the server (and stops it): a second `start` on the same folder. */
  readonly adopted: boolean
  /** Ends the server when it is ours, after it has written everything. */
  stop(): Promise<void>
}

/** A server that listens on the socket: started by us, or found there. */
interface Server {
  adopted: boolean
  /** Resolves when it has ended, with what there is to say about it. */
  ended: Promise<string>
  stop(): Promise<void>
}

interface Place {
  dir: string
  socket: string
}

const LAUNCH_MS = 10_000
const LOAD_MS = 120_000
const STOP_MS = 10_000
const REPLY_MS = 1000
const SHORTEST_DELAY_MS = 50
const LONGEST_DELAY_MS = 5000

/**
 * Runs a private Redis in `dataDir`/redis, or joins the one that runs there, and starts it again if it ends by itself:
 * also when the process that ran a joined one is gone. It ends with this process, however that one ends.
 *
 * The caller stops it.
 *
 * @throws {Error} with a sentence for the operator: no server installed, or what the server said before it gave up
 */
export async function startPrivateRedis(dataDir: string, log: Log): Promise<PrivateRedis> {
  const place = await prepare(dataDir)
  const stopping = new AbortController()
  let server = await join(place, stopping.signal)

  const supervise = async () => {
    for (let delayMs = SHORTEST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) {
      const since = performance.now()
      const reason = await server.ended
      if (stopping.signal.aborted) return
      log.warn({ reason }, 'the private Redis ended: starting it again')
      if (performance.now() - since > LONGEST_DELAY_MS) delayMs = SHORTEST_DELAY_MS
      await pause(delayMs, stopping.signal)
      if (stopping.signal.aborted) return
      server = await join(place, stopping.signal).catch(failed)
      if (stopping.signal.aborted) return server.stop() // it came up while we were asked to stop
    }
  }
  const supervised = supervise()

  return {
    socket: place.socket,
    get adopted() {
      return server.adopted
    },
    async stop() {
      stopping.abort()
      await server.stop()
      await supervised
    },
  }
}

function failed(error: unknown): Server {
  return { adopted: false, ended: Promise.resolve(String(error)), async stop() {} }
}

/** Two servers on one folder would write one append-only file: who comes second joins. */
async function join({ dir, socket }: Place, signal: AbortSignal): Promise<Server> {
  const server = await exclusively(
    dir,
    'starting',
    async () => (await adopt(socket)) ?? (await launch({ dir, socket }, signal)),
  )
  if (!server.adopted) await answering(socket, server, /^\+PONG/, LOAD_MS, signal)
  return server
}

async function prepare(dataDir: string): Promise<Place> {
  await mkdir(path.resolve(dataDir, 'redis'), { recursive: true, mode: 0o700 })
  const dir = await realpath(path.resolve(dataDir, 'redis'))
  const socket = path.join(dir, 'redis.sock')
  if (Buffer.byteLength(socket) <= 103) return { dir, socket } // what fits into sockaddr_un: 107 on Linux, 103 on macOS
  // Not os.tmpdir(): processes with another TMPDIR must find the same socket.
  const short = `/tmp/downloader-${createHash('sha256').update(dir).digest('hex').slice(0, 16)}`
  await mkdir(short, { recursive: true, mode: 0o700 })
  const { uid, mode } = await lstat(short)
  if (uid !== process.getuid?.() || (mode & 0o40077) !== 0o40000)
    throw new Error(`${short} must be a folder of ours alone`)
  return { dir, socket: path.join(short, 'redis.sock') }
}

/** The server that listens on the socket, if one does. */
async function adopt(socket: string): Promise<Server | undefined> {
  const connection = await connected({ path: socket })
  if (!connection) return undefined
  const ended = new Promise<string>((resolve) => connection.once('close', () => resolve('its socket was closed')))
  connection.resume()
  return {
    adopted: true,
    ended,
    async stop() {
      connection.destroy()
      await ended
    },
  }
}

// fd 3 is a pipe whose other end only this process holds: it closes when we end in any way, SIGKILL included, and then
// `read` returns and the server gets its SIGTERM. The shell needs no other program: there may be no PATH.
const GUARDED = `
  "$@" 3<&- & server=$!
  trap "" INT TERM HUP
  (read -r _ <&3; kill -TERM $server) >/dev/null 2>&1 & guard=$!
  exec 3<&-
  wait $server; status=$?
  kill -KILL $guard
  exit $status`

/** Starts a server; resolves once it answers, be it that it is still loading its data. */
async function launch({ dir, socket }: Place, signal: AbortSignal): Promise<Server> {
  const binary = await serverBinary()
  const options = {
    port: '0',
    unixsocket: socket,
    unixsocketperm: '700',
    dir,
    daemonize: 'no',
    logfile: '',
    save: '',
    appendonly: 'yes',
    // With `everysec` Redis answers before it has written while an fsync is under way: its SIGKILL would lose jobs.
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
  }
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
  // In a session of its own: Ctrl-C in the terminal ends us first, and the server when we are done with it.
  const child = spawn('/bin/sh', ['-c', GUARDED, 'sh', binary, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    detached: true,
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-2000)
    })
  }
  const lifeline = child.stdio[3] as Socket
  child.once('exit', () => lifeline.destroy())
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(`it could not be started: ${error.message}`))
    child.once('close', (code) => resolve(`${path.basename(binary)} exited with ${code}: ${output.trim().slice(-600)}`))
  })

  const server: Server = {
    adopted: false,
    ended,
    async stop() {
      lifeline.destroy()
      const killed = setTimeout(() => killGroup(child), STOP_MS)
      await ended
      clearTimeout(killed)
    },
  }
  await answering(socket, server, /^[+-]/, LAUNCH_MS, signal)
  return server
}

/**
 * Resolves once the server answers a PING as expected; stops it if it does not.
 *
 * @throws {Error} with what the server said before it ended
 */
async function answering(socket: string, server: Server, expected: RegExp, ms: number, signal: AbortSignal) {
  const over = new AbortController()
  const end = () => over.abort()
  void server.ended.then(end)
  signal.addEventListener('abort', end, { once: true })
  const deadline = performance.now() + ms
  let delayMs = 5
  try {
    while (!over.signal.aborted && !signal.aborted && performance.now() < deadline) {
      if (expected.test(await ping({ path: socket }).catch(() => ''))) return
      await pause(delayMs, over.signal)
      delayMs = Math.min(delayMs * 2, 200)
    }
  } finally {
    signal.removeEventListener('abort', end)
  }
  const late = !over.signal.aborted && `it did not answer within ${ms / 1000} s`
  await server.stop()
  throw new Error(`The private Redis did not start: ${late || (await server.ended)}`)
}

function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
  } catch {
    // it has just ended by itself
  }
}

/** What a Redis answers to a PING: `+PONG`, `-LOADING …`, `-NOAUTH …`; `''` when nothing comes within a second. */
export async function ping(target: NetConnectOpts): Promise<string> {
  const connection = await connected(target)
  if (!connection) return ''
  return new Promise((resolve) => {
    let reply = ''
    connection.on('data', (chunk) => {
      reply += chunk.toString()
      if (reply.includes('\n')) connection.destroy()
    })
    connection.setTimeout(REPLY_MS, () => connection.destroy())
    connection.once('close', () => resolve(reply.trim()))
    connection.write('PING\r\n')
  })
}

/**
 * A connection, if anybody listens: the kernel accepts it also for a server that is too busy to answer.
 *
 * @throws for every reason but that nobody listens
 */
function connected(target: NetConnectOpts): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    const connection = createConnection(target)
    connection.once('connect', () => resolve(connection))
    connection.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(undefined)
      else reject(error)
    })
  })
}

const SERVERS = ['redis-server', 'valkey-server']
const USUAL_FOLDERS = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/homebrew/bin'

/**
 * The server's program: from PATH or, where there is no PATH at all, from where packages put it.
 *
 * @throws {Error} with a sentence that says what to install
 */
export async function serverBinary(): Promise<string> {
  const folders = (process.env.PATH || USUAL_FOLDERS).split(':').filter(Boolean)
  for (const name of SERVERS) {
    for (const folder of folders) {
      const file = path.resolve(folder, name)
      const executable = await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
      if (executable) return file
    }
  }
  throw new Error(
    'No redis-server or valkey-server found. Install one (./setup does; Debian and Ubuntu: apt-get install redis-server; ' +
      'macOS: brew install valkey), or say where Redis is: DOWNLOADER_REDIS__URL=redis://host:6379',
  )
}
