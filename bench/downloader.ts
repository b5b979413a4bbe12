// Our service, as it is deployed: a process for each role, from dist/.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Service, Stage } from './stage.ts'

const main = path.resolve(import.meta.dirname, '../dist/main.js')
const STARTUP_MS = 30_000

export interface DownloaderOptions {
  processors?: number
  notifiers?: number
  /** Downloads at once of each processor. */
  concurrency?: number
  /** Callbacks at once. */
  callbacks?: number
  /** Where each role leaves a CPU profile when it ends. */
  profileDir?: string | undefined
}

export interface Downloader extends Service {
  /** Starts one more process. */
  add(role: 'processor' | 'notifier'): Promise<void>
}

export async function startDownloader(stage: Stage, options: DownloaderOptions = {}): Promise<Downloader> {
  const { processors = 1, notifiers = 1, concurrency = 256, callbacks = 50, profileDir } = options
  const children: [role: string, child: ChildProcess][] = []
  const config = path.join(stage.dir, 'config.json')
  await writeFile(
    config,
    JSON.stringify({
      redis: { addr: stage.redis.addr },
      api: { port: 0 },
      processor: {
        filestorage: { type: 'filesystem', rootdir: path.join(stage.dir, 'files') },
        storage_dir: path.join(stage.dir, 'tmp'),
        download_url: 'http://files.test',
        allow_networks: ['127.0.0.0/8'],
        concurrency,
      },
      notifier: { concurrency: callbacks },
      backends: { http: {} },
    }),
  )

  /** Resolves to the first log line that says that the process is ready. */
  async function start(role: string): Promise<Record<string, unknown>> {
    const logFile = path.join(stage.dir, `${role}-${children.length}.log`)
    const log = openSync(logFile, 'w') // a file: nobody spends CPU on reading it
    const profile = profileDir ? ['--cpu-prof', `--cpu-prof-dir=${path.join(profileDir, role)}`] : []
    const child = spawn(process.execPath, [...profile, main, role, '-c', config], { stdio: ['ignore', 'ignore', log] })
    closeSync(log)
    const kill = () => child.kill('SIGKILL')
    process.once('exit', kill)
    child.once('exit', () => process.off('exit', kill))
    children.push([role, child])
    for (let waitedMs = 0; waitedMs < STARTUP_MS && child.exitCode === null; waitedMs += 20) {
      const ready = readFileSync(logFile, 'utf8')
        .split('\n')
        .find((line) => /"msg":"(listening|\w+ started)"/.test(line))
      if (ready) return JSON.parse(ready)
      await delay(20)
    }
    throw new Error(`${role} did not start: ${readFileSync(logFile, 'utf8')}`)
  }

  async function close(): Promise<void> {
    const ended = children.map(([, child]) => child.exitCode ?? child.signalCode ?? once(child, 'exit'))
    // A profile is written by a process that ends by itself; nothing else is worth waiting for.
    if (profileDir) {
      for (const [, child] of children) child.kill('SIGTERM')
      await Promise.race([Promise.all(ended), delay(STARTUP_MS)])
    }
    for (const [, child] of children) child.kill('SIGKILL')
    await Promise.all(ended)
  }

  try {
    if (profileDir) await mkdir(profileDir, { recursive: true })
    const { url } = await start('api')
    for (let i = 0; i < notifiers; i++) await start('notifier')
    for (let i = 0; i < processors; i++) await start('processor')
    return {
      url: `${url}/download`,
      processes: () => children.map(([role, child]) => [role, child.pid ?? 0]),
      async add(role) {
        await start(role)
      },
      [Symbol.asyncDispose]: close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
