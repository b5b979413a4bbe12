import { createHash } from 'node:crypto'
import { lstat, mkdir, realpath } from 'node:fs/promises'
import path from 'node:path'
import { pause } from './deadline.ts'
import { exclusively } from './exclusively.ts'
import type { Log } from './log.ts'
import { adopt, launch, loaded, type Server } from './redis-server.ts'

/** The Redis of `start`, for who has none: a server of our own on a unix socket, its data in an append-only file. */
export interface PrivateRedis {
  /** Path of its unix socket; it stays the same, whichever server listens there. */
  socket: string
  /** Whether another process runs the server (and stops it): a second `start` on the same folder. */
  readonly adopted: boolean
  /** Ends the server when it is ours, after it has written everything. */
  stop(): Promise<void>
}

interface Place {
  dir: string
  socket: string
}

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
  const found = async () => (await adopt(socket)) ?? (await launch(dir, socket, signal))
  const server = await exclusively(dir, 'starting', found)
  if (!server.adopted) await loaded(server, socket, signal)
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
