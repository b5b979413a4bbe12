import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { startRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startSentinels } from '../support/sentinel.ts'
import { startRelay } from '../support/tcp-relay.ts'
import type { Fault, Stage } from './faults.ts'
import * as faults from './faults.ts'

/** What runs underneath, and how the service finds it. */
export interface Ground extends AsyncDisposable {
  config: object
  parts: Omit<Stage, 'world' | 'random'>
  /** Asks the server that has our keys. */
  ask(command: string, ...args: string[]): Promise<string>
}

export interface Scenario {
  name: string
  ground(): Promise<Ground>
  faults: readonly Fault[]
  /** Jobs accepted so long before a fault may be lost, ms; 0: none may. */
  mayLoseMs: number
  /** For the configuration of the processors. */
  processor?: object
  prepare?: (root: string, tempDir: string) => Promise<() => Promise<void>>
}

async function oneServer(appendonly: 'always' | 'everysec'): Promise<Ground> {
  const redis = await startRedis({ appendonly })
  const relay = await startRelay(redis.port)
  return {
    config: { addr: relay.addr },
    parts: { redis, relay },
    ask: (...command) => redis.cli(...command),
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]()
      await redis[Symbol.asyncDispose]()
    },
  }
}

async function replicated(start: () => ReturnType<typeof startSentinels | typeof startCluster>, waitReplicas: number) {
  const set = await start()
  return {
    config: { ...set.config, ...(waitReplicas > 0 ? { wait_replicas: waitReplicas } : {}) },
    parts: { set },
    ask: async (command: string, ...args: string[]) => (await set.master()).cli(command, ...args),
    [Symbol.asyncDispose]: () => set[Symbol.asyncDispose](),
  }
}

/** A small disk of its own, which can be filled. */
async function ownDisk(root: string) {
  const disk = path.dirname(root)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'tmpfs', disk])
  return async () => void execFileSync('umount', ['-l', disk])
}

const processes: Fault[] = [
  faults.kill('processor'),
  faults.kill('notifier'),
  faults.kill('api'),
  faults.terminate('processor'),
  faults.terminate('notifier'),
  faults.terminate('api'),
]
const frozen: Fault[] = [
  faults.freeze('processor', true),
  faults.freeze('processor', false),
  faults.freeze('notifier', true),
  faults.freeze('api', false),
]
const network: Fault[] = [
  faults.cutNetwork,
  faults.holdNetwork,
  faults.halfCloseNetwork,
  faults.refuseNetwork,
  faults.flushScripts,
]
const failovers = [faults.failover('killed'), faults.failover('asked')]

/** Each runs on a service and a Redis of its own. */
export const scenarios: Record<string, Scenario> = {
  processes: {
    name: 'processes killed and stopped',
    ground: () => oneServer('always'),
    faults: processes,
    mayLoseMs: 0,
  },
  frozen: {
    name: 'processes frozen, also beyond their leases',
    ground: () => oneServer('always'),
    faults: frozen,
    mayLoseMs: 0,
  },
  network: {
    name: 'network to Redis cut, delayed, half-closed, refused; scripts forgotten',
    ground: () => oneServer('always'),
    faults: network,
    mayLoseMs: 0,
  },
  'redis-always': {
    name: 'Redis killed and frozen, appendfsync always',
    ground: () => oneServer('always'),
    faults: [faults.killRedis, faults.freezeRedis],
    mayLoseMs: 0,
  },
  'redis-everysec': {
    name: 'Redis killed, appendfsync everysec',
    ground: () => oneServer('everysec'),
    faults: [faults.killRedis],
    mayLoseMs: 2000,
  },
  machine: {
    name: 'disk full, no file descriptors, clocks that jump',
    ground: () => oneServer('always'),
    faults: [faults.fillDisk, faults.starveOfDescriptors, faults.jumpClock],
    mayLoseMs: 0,
    prepare: ownDisk,
  },
  sentinel: {
    name: 'Sentinel failovers',
    ground: () => replicated(startSentinels, 0),
    faults: failovers,
    mayLoseMs: 1000,
  },
  'sentinel-wait': {
    name: 'Sentinel failovers, wait_replicas 1',
    ground: () => replicated(startSentinels, 1),
    faults: failovers,
    mayLoseMs: 0,
  },
  cluster: {
    name: 'Cluster failovers',
    ground: () => replicated(startCluster, 0),
    faults: failovers,
    mayLoseMs: 1000,
  },
  'cluster-wait': {
    name: 'Cluster failovers, wait_replicas 1',
    ground: () => replicated(startCluster, 1),
    faults: failovers,
    mayLoseMs: 0,
  },
  mix: {
    name: 'everything that can happen to processes, Redis and the network',
    ground: () => oneServer('always'),
    faults: [...processes, ...frozen, ...network, faults.killRedis, faults.freezeRedis],
    mayLoseMs: 0,
  },
}
