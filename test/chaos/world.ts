import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../support/redis.ts'
import { mainFile } from '../support/service.ts'
import type { FromRecorder, Report, ToRecorder } from './recorder.ts'

export const LEASE_MS = 3000
/** A supervisor starts a process again so long after its end. */
const RESTART_MS = 200

export type RoleName = 'api' | 'processor' | 'notifier'

/** A process of the service, which is started again whenever it ends. */
export interface Member {
  /** `processor 2` */
  readonly name: string
  readonly role: RoleName
  readonly pid: number
  /** Unexpected ends: neither signalled by us nor with exit code 0. */
  readonly crashes: string[]
  signal(signal: NodeJS.Signals): void
}

export interface World extends AsyncDisposable {
  readonly url: string
  readonly origin: string
  readonly receiver: string
  readonly dir: string
  readonly root: string
  readonly tempDir: string
  readonly configFile: string
  readonly members: Member[]
  membersOf(role: RoleName): Member[]
  /** Adds a process; `limits` are commands of sh that come before it, `env` is added to its own. */
  add(role: RoleName, options?: { limits?: string; env?: Record<string, string> }): Promise<Member>
  /** Ends a process for good. */
  remove(member: Member, signal: NodeJS.Signals): Promise<void>
  report(): Promise<Report>
  tell(message: ToRecorder): void
}

export interface WorldOptions {
  /** The section `redis` of the configuration. */
  redis: object
  processors?: number
  notifiers?: number
  processor?: object
  /** Runs on the folder before anything is started; what it returns is run at the end. */
  prepare?: (root: string, tempDir: string) => Promise<() => Promise<void>>
}

/** The built service, its processes watched by a supervisor, between an origin and receivers that keep records. */
export async function openWorld(options: WorldOptions): Promise<World> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-chaos-'))
  const root = path.join(dir, 'disk', 'files')
  const tempDir = path.join(dir, 'disk', 'tmp')
  await mkdir(path.join(dir, 'disk'))
  const undo = await options.prepare?.(root, tempDir)
  const configFile = path.join(dir, 'config.json')
  const port = await freePort()
  const redis = { ...options.redis }
  await writeFile(configFile, JSON.stringify(configuration(redis, port, root, tempDir, options.processor)))

  const recorder = fork(path.join(import.meta.dirname, 'recorder.ts'), { execArgv: ['--import', 'tsx'] })
  const [ready] = (await once(recorder, 'message')) as [Extract<FromRecorder, { kind: 'ready' }>]
  const members: (Member & { stop(signal: NodeJS.Signals): Promise<void> })[] = []
  let closing = false

  const world: World = {
    url: `http://127.0.0.1:${port}`,
    origin: ready.origin,
    receiver: ready.receiver,
    dir,
    root,
    tempDir,
    configFile,
    members,
    membersOf: (role) => members.filter((member) => member.role === role),
    async add(role, { limits = '', env = {} } = {}) {
      const name = `${role} ${members.filter((member) => member.role === role).length + 1}`
      const own = {
        PATH: process.env.PATH ?? '',
        LOG_LEVEL: 'warn',
        // so that the origin knows who asks
        DOWNLOADER_PROCESSOR__REQUEST_HEADERS: JSON.stringify({ 'x-processor': name }),
        ...env,
      }
      const crashes: string[] = []
      let child: ChildProcess
      let stopped = false
      let signalled = false
      let restarted = Promise.resolve()
      const start = () => {
        const script = `${limits} exec "$@"`
        const args = ['-c', script, 'sh', process.execPath, mainFile, role, '-c', configFile]
        child = spawn('/bin/sh', args, { env: own, stdio: ['ignore', 'ignore', 'pipe'] })
        const kill = () => child.kill('SIGKILL')
        process.once('exit', kill)
        let said = ''
        child.stderr?.on('data', (data) => {
          said = (said + data).slice(-3000)
        })
        child.once('exit', (code, signal) => {
          process.off('exit', kill)
          if (code !== 0 && !signalled) crashes.push(`${name} ended with ${code ?? signal}: ${said}`)
          signalled = false
          if (stopped || closing) return
          restarted = delay(RESTART_MS).then(() => {
            if (!stopped && !closing) start()
          })
        })
      }
      start()
      const member = {
        name,
        role,
        get pid() {
          return child.pid ?? 0
        },
        crashes,
        signal(signal: NodeJS.Signals) {
          if (signal === 'SIGKILL' || signal === 'SIGTERM') signalled = true
          child.kill(signal)
        },
        async stop(signal: NodeJS.Signals) {
          stopped = true
          await restarted
          signalled = true
          if (child.exitCode !== null || child.signalCode !== null) return
          child.kill(signal)
          await once(child, 'exit')
        },
      }
      members.push(member)
      return member
    },
    async remove(member, signal) {
      const own = members.find((one) => one === member)
      members.splice(members.indexOf(own as (typeof members)[number]), 1)
      await own?.stop(signal)
    },
    async report() {
      const reply = new Promise<Report>((resolve) => {
        const onMessage = (message: FromRecorder) => {
          if (message.kind !== 'report') return
          recorder.off('message', onMessage)
          resolve(message.report)
        }
        recorder.on('message', onMessage)
      })
      recorder.send({ kind: 'report' } satisfies ToRecorder)
      return reply
    },
    tell: (message) => void recorder.send(message),
    async [Symbol.asyncDispose]() {
      closing = true
      for (const member of members) member.signal('SIGCONT')
      await Promise.all(members.map((member) => member.stop('SIGKILL')))
      recorder.disconnect()
      await once(recorder, 'exit')
      await undo?.()
      await rm(dir, { recursive: true, force: true })
    },
  }
  await world.add('api')
  for (let i = 0; i < (options.processors ?? 3); i++) await world.add('processor')
  for (let i = 0; i < (options.notifiers ?? 2); i++) await world.add('notifier')
  return world
}

function configuration(redis: object, port: number, root: string, tempDir: string, processor: object = {}) {
  return {
    redis,
    api: { port },
    processor: {
      filestorage: { type: 'filesystem', rootdir: root },
      storage_dir: tempDir,
      download_url: 'http://files.test',
      allow_networks: ['127.0.0.0/8'],
      concurrency: 32,
      lease_ms: LEASE_MS,
      max_stalls: 100, // every fault may stall every job: none is to fail for it
      max_retries: 30,
      retry_backoff_ms: 50,
      headers_timeout_ms: 1500,
      stall_timeout_ms: 1500,
      shutdown_grace_ms: 500,
      disk_high: 100,
      disk_low: 100,
      ...processor,
    },
    notifier: {
      lease_ms: LEASE_MS,
      max_stalls: 100,
      max_retries: 40,
      retry_backoff_ms: 20,
      shutdown_grace_ms: 500,
      receiver_concurrency: 4,
      concurrency: 8,
    },
    backends: { http: { timeout: 1 } },
  }
}
