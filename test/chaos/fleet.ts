import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { freePort } from '../support/redis.ts'
import { type Role, startRole } from '../support/service.ts'
import { WORKER_HEADER } from './origin.ts'
import {
  APIS,
  CALLBACK_BACKOFF_MS,
  CALLBACK_RETRIES,
  CALLBACK_TIMEOUT_MS,
  DOWNLOAD_BACKOFF_MS,
  GRACE_MS,
  KEY_PREFIX,
  LEASE_MS,
  NOTIFIERS,
  PROCESSORS,
  RECEIVER_LIMIT,
  STALL_TIMEOUT_MS,
} from './settings.ts'

export interface FleetOptions {
  /** Where the configuration goes. */
  dir: string
  /** The section `redis` of the configuration. */
  redis: Record<string, unknown>
  root: string
  tempDir: string
  /** Minutes from delivery until a file is deleted. */
  deletionMinutes: number
  /** Laid over the section `processor`. */
  processor?: Record<string, unknown> | undefined
  /** What else the environment of a process holds. */
  envOf?: (name: string) => NodeJS.ProcessEnv
}

/** The processes of the service, each by its name: a1, a2, p1, p2, p3, n1, n2. */
export interface Fleet extends AsyncDisposable {
  readonly configFile: string
  /** API → URL, which stays when it is started again. */
  readonly apis: [name: string, url: string][]
  /** What should not have happened: processes that ended by themselves, or did not stop as they were told. */
  readonly mishaps: string[]
  pid(name: string): number
  signal(name: string, signal: NodeJS.Signals): void
  /** Ends a process by a signal, and waits until it is gone. */
  end(name: string, signal: NodeJS.Signals): Promise<void>
  /** Starts a process that has ended; resolves when it says that it works. */
  start(name: string): Promise<void>
  /** What the processes logged as errors, and why attempts failed, each with how often. */
  logged(): { errors: Map<string, number>; codes: Map<string, number> }
}

export type Kind = 'api' | 'processor' | 'notifier'

export function kindOf(name: string): Kind {
  if ((APIS as readonly string[]).includes(name)) return 'api'
  return (PROCESSORS as readonly string[]).includes(name) ? 'processor' : 'notifier'
}

export const allProcesses: readonly string[] = [...APIS, ...PROCESSORS, ...NOTIFIERS]

const ERRORS = ['error', 'fatal']
/** Beyond the grace: letting go of what was aborted, and giving Redis up. */
const STOP_MS = GRACE_MS + 6000

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { dir, envOf = () => ({}) } = options
  const configFile = path.join(dir, 'config.json')
  await writeFile(configFile, JSON.stringify(configOf(options)))
  const ports = new Map<string, number>()
  for (const name of APIS) ports.set(name, await freePort())

  const roles = new Map<string, Role>()
  const everyRole: Role[] = []
  /** Processes that were told to end. */
  const ending = new WeakSet<Role>()
  const mishaps: string[] = []

  function roleOf(name: string): Role {
    const role = roles.get(name)
    if (!role) throw new Error(`${name} was never started`)
    return role
  }

  const fleet: Fleet = {
    configFile,
    apis: [...ports].map(([name, port]) => [name, `http://127.0.0.1:${port}`]),
    mishaps,
    pid: (name) => roleOf(name).child.pid ?? 0,
    signal: (name, signal) => void roleOf(name).child.kill(signal),
    async end(name, signal) {
      const role = roleOf(name)
      ending.add(role)
      const timer = setTimeout(() => {
        mishaps.push(`${name} did not stop within ${STOP_MS} ms of ${signal}`)
        role.child.kill('SIGKILL')
      }, STOP_MS)
      const code = await role.end(signal)
      clearTimeout(timer)
      if (signal === 'SIGTERM' && code !== 0) mishaps.push(`${name} ended with ${code} after SIGTERM`)
    },
    async start(name) {
      const kind = kindOf(name)
      const env = { PATH: process.env.PATH ?? '', ...identityOf(name, ports), ...envOf(name) }
      const role = startRole([kind, '-c', configFile], { cwd: dir, env })
      roles.set(name, role)
      everyRole.push(role)
      void role.ended.then((code) => {
        if (ending.has(role)) return
        mishaps.push(`${name} ended by itself: ${code}\n${role.stderr()}${JSON.stringify(role.logs.at(-1))}`)
      })
      await role.logged(({ msg }) => msg === (kind === 'api' ? 'listening' : `${kind} started`))
    },
    logged() {
      const [errors, codes] = [new Map<string, number>(), new Map<string, number>()]
      const add = (counts: Map<string, number>, name: string) => void counts.set(name, (counts.get(name) ?? 0) + 1)
      for (const { msg, level, code, error, err } of everyRole.flatMap(({ logs }) => logs)) {
        if (typeof code === 'string') add(codes, code)
        const what = error ?? (err as Error | undefined)?.message
        if (ERRORS.includes(String(level))) add(errors, [msg, what].filter(Boolean).join(': '))
      }
      return { errors, codes }
    },
    async [Symbol.asyncDispose]() {
      for (const role of everyRole) ending.add(role)
      await Promise.all(everyRole.map((role) => role.end('SIGKILL')))
    },
  }
  try {
    await Promise.all(allProcesses.map((name) => fleet.start(name)))
  } catch (error) {
    await fleet[Symbol.asyncDispose]()
    throw error
  }
  return fleet
}

/** By what origin, receivers and client tell one process from another. */
function identityOf(name: string, ports: Map<string, number>): NodeJS.ProcessEnv {
  switch (kindOf(name)) {
    case 'api':
      return { DOWNLOADER_API__PORT: String(ports.get(name)) }
    case 'processor':
      return { DOWNLOADER_PROCESSOR__REQUEST_HEADERS: JSON.stringify({ [WORKER_HEADER]: name }) }
    case 'notifier':
      return { DOWNLOADER_BACKENDS__HTTP__SIGNING_SECRET: name }
  }
}

function configOf({ redis, root, tempDir, deletionMinutes, processor }: FleetOptions) {
  const both = { lease_ms: LEASE_MS, shutdown_grace_ms: GRACE_MS, stats_interval: 1000, max_stalls: 25 }
  return {
    redis: { key_prefix: KEY_PREFIX, ...redis },
    processor: {
      ...both,
      filestorage: { type: 'filesystem', rootdir: root },
      storage_dir: tempDir,
      download_url: 'http://files.test',
      allow_networks: ['127.0.0.0/8'],
      concurrency: 16,
      retry_backoff_ms: DOWNLOAD_BACKOFF_MS,
      stall_timeout_ms: STALL_TIMEOUT_MS,
      headers_timeout_ms: 5000,
      ...processor,
    },
    notifier: {
      ...both,
      concurrency: RECEIVER_LIMIT,
      max_in_flight: 16,
      max_retries: CALLBACK_RETRIES,
      retry_backoff_ms: CALLBACK_BACKOFF_MS,
      deletion_interval: deletionMinutes,
    },
    backends: { http: { timeout: CALLBACK_TIMEOUT_MS / 1000 } },
  }
}
