import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { createConnection, type NetConnectOpts, type Socket } from 'node:net'
import path from 'node:path'
import { pause } from './deadline.ts'

/** A server that listens on a unix socket: started by us, or found there. */
export interface Server {
  adopted: boolean
  /** Resolves when it has ended, with what there is to say about it. */
  ended: Promise<string>
  stop(): Promise<void>
}

/** Until a server that was started answers at all, and until it has read its data. */
const LAUNCH_MS = 10_000
const LOAD_MS = 120_000
const STOP_MS = 10_000
const REPLY_MS = 1000

/** The server that listens on the socket, if one does. */
export async function adopt(socket: string): Promise<Server | undefined> {
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
  kill -KILL $guard 2>/dev/null
  exit $status`

/** Starts a server; resolves once it answers, be it that it is still loading its data. */
export async function launch(dir: string, socket: string, signal: AbortSignal): Promise<Server> {
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
  await answering(server, socket, /^[+-]/, LAUNCH_MS, signal)
  return server
}

/**
 * Resolves once the server has read its data and takes commands; stops it if it does not.
 *
 * @throws {Error} with what the server said before it ended
 */
export function loaded(server: Server, socket: string, signal: AbortSignal): Promise<void> {
  return answering(server, socket, /^\+PONG/, LOAD_MS, signal)
}

async function answering(server: Server, socket: string, expected: RegExp, ms: number, signal: AbortSignal) {
  const over = new AbortController()
  const end = () => over.abort()
  void server.ended.then(end)
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const deadline = performance.now() + ms
  try {
    for (let delayMs = 5; !over.signal.aborted && performance.now() < deadline; delayMs = Math.min(delayMs * 2, 200)) {
      if (expected.test(await ping({ path: socket }).catch(() => ''))) return
      await pause(delayMs, over.signal)
    }
  } finally {
    signal.removeEventListener('abort', end)
  }
  const silent = !over.signal.aborted
  await server.stop()
  throw new Error(
    `The private Redis did not start: ${silent ? `it did not answer within ${ms / 1000} s` : await server.ended}`,
  )
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
