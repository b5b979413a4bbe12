import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { startRedis, type TestRedis } from '../test/support/redis.ts'
import type { commands as driverCommands } from './helpers/driver.ts'
import type { commands as originCommands } from './helpers/origin.ts'
import type { commands as receiverCommands } from './helpers/receiver.ts'
import { type Helper, startHelper } from './remote.ts'
import type { Figures } from './statistics.ts'

/** What is around a service that is measured: origin, receiver, driver and Redis, each a process of its own. */
export interface Stage extends AsyncDisposable {
  /** A folder that goes with the stage. */
  readonly dir: string
  readonly origin: Helper<typeof originCommands>
  readonly receiver: Helper<typeof receiverCommands>
  readonly driver: Helper<typeof driverCommands>
  readonly redis: TestRedis
  /** Address of so many bytes that take the origin so long. */
  file(bytes: number, delayMs?: number): string
  readonly receiverUrl: string
  /** Forgets what came to origin and receiver so far. */
  begin(): Promise<void>
  /** Commands that Redis ran, those inside of scripts included, and how often it read from a socket: round trips. */
  redisCalls(): Promise<{ commands: number; reads: number }>
  /** Bytes that Redis uses. */
  redisBytes(): Promise<number>
}

/** What is measured. */
export interface Service extends AsyncDisposable {
  /** Where jobs are posted. */
  readonly url: string
  /** Its processes by what they do. */
  processes(): [role: string, pid: number][]
}

/**
 * Files stay until all is measured: for minutes after thousands were deleted, ext4 looks at every one of their inodes
 * again before it makes a new one (`recently_deleted` in its ialloc.c), at the expense of whoever is measured next.
 */
const dirs: string[] = []
process.once('exit', () => {
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

export async function openStage(): Promise<Stage> {
  const closers: (() => PromiseLike<unknown>)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  const kept = <T extends AsyncDisposable>(part: T): T => {
    closers.push(() => part[Symbol.asyncDispose]())
    return part
  }
  try {
    const dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-bench-'))
    dirs.push(dir)
    // As queues are run: what was accepted survives a crash. For all that we compare; not rewritten while we measure.
    const persistence = ['--auto-aof-rewrite-percentage', '0']
    const redis = kept(await startRedis({ appendonly: 'everysec', args: persistence }))
    const origin = kept(await startHelper<typeof originCommands>('helpers/origin.ts'))
    const receiver = kept(await startHelper<typeof receiverCommands>('helpers/receiver.ts'))
    const driver = kept(await startHelper<typeof driverCommands>('helpers/driver.ts'))
    const originUrl = await origin.ask.listen()
    const receiverUrl = await receiver.ask.listen()

    const info = async (section: string, field: string) =>
      Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(await redis.cli('INFO', section))?.[1])
    return {
      dir,
      origin,
      receiver,
      driver,
      redis,
      receiverUrl,
      file: (bytes, delayMs = 0) => `${originUrl}/${bytes}/${delayMs}/file`,
      async begin() {
        await Promise.all([origin.ask.begin(), receiver.ask.begin()])
      },
      async redisCalls() {
        const commands = await info('stats', 'total_commands_processed')
        return { commands, reads: await info('stats', 'total_reads_processed') }
      },
      redisBytes: () => info('memory', 'used_memory'),
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Sums by role. */
export function byRole(processes: [role: string, pid: number][], read: (pid: number) => number): Figures {
  const sums: Figures = {}
  for (const [role, pid] of processes) sums[role] = (sums[role] ?? 0) + read(pid)
  return sums
}
