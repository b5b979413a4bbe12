import { readdir, stat, truncate } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TestRedis } from '../../support/redis.ts'
import type { FailoverKind, Replicated } from '../../support/replication.ts'
import { allProcesses } from '../fleet.ts'
import { FAILOVER_MS, LEASE_MS } from '../settings.ts'
import type { Store } from '../store.ts'
import { everyone, type Fault } from './fault.ts'

const common = { targets: ['redis'], stops: everyone(allProcesses), repeats: () => true } as const

function single({ single }: Store): TestRedis {
  if (!single) throw new Error('this fault is for one server')
  return single
}

export const killRedis: Fault = {
  ...common,
  name: 'kill-redis',
  about: 'SIGKILL of Redis; started again a while later',
  forMs: [200, 2500],
  restMs: 3000,
  begin: ({ store }) => single(store).kill(),
  end: ({ store }) => single(store).start(),
}

/** So much of the append-only file is lost with the power: `everysec` promises to have synced the rest. */
const UNSYNCED_MS = 1000

export const powerCut: Fault = {
  ...common,
  name: 'power-cut',
  about: 'SIGKILL of Redis, and the last second of its append-only file is cut off, as if its host had lost power',
  forMs: [200, 1500],
  restMs: 3500,
  async begin({ store }) {
    const redis = single(store)
    const file = await appendOnlyFile(redis)
    const { size } = await stat(file)
    await delay(UNSYNCED_MS)
    await redis.kill()
    await truncate(file, size)
  },
  end: ({ store }) => single(store).start(),
  takesMs: UNSYNCED_MS,
  forgetsMs: 200, // the second is part of the fault
}

async function appendOnlyFile(redis: TestRedis): Promise<string> {
  const [, dir = ''] = (await redis.cli('CONFIG', 'GET', 'dir')).split('\n')
  const folder = path.join(dir, 'appendonlydir')
  const files = (await readdir(folder)).filter((name) => name.endsWith('.incr.aof'))
  const [file] = files
  if (file === undefined || files.length > 1) throw new Error(`which one is written to? ${files.join(', ')}`)
  return path.join(folder, file)
}

export const freezeRedis: Fault = {
  ...common,
  name: 'freeze-redis',
  about: 'SIGSTOP of Redis, sometimes for longer than a lease, then SIGCONT',
  forMs: [1000, LEASE_MS + 2000],
  restMs: 3000,
  begin: async ({ store }) => single(store).pause(),
  end: async ({ store }) => single(store).resume(),
}

export const flushScripts: Fault = {
  ...common,
  name: 'script-flush',
  about: 'SCRIPT FLUSH: Redis forgets the scripts that it was given',
  forMs: [0, 0],
  restMs: 500,
  async begin({ store }) {
    const redis = store.single ?? (await replicatedOf(store).master())
    await redis.cli('SCRIPT', 'FLUSH')
  },
  async end() {},
  repeats: () => false,
}

function replicatedOf({ replicated }: Store): Replicated {
  if (!replicated) throw new Error('this fault is for several servers')
  return replicated
}

/** Masters that were killed and are away. */
const away = new WeakMap<Store, TestRedis>()

const failover = (name: string, how: FailoverKind, about: string): Fault => ({
  ...common,
  name,
  about,
  forMs: [0, 0],
  restMs: 2000,
  async begin({ store }) {
    const old = await replicatedOf(store).failover(how)
    if (how === 'killed') away.set(store, old)
  },
  async end({ store }) {
    await away.get(store)?.start()
    away.delete(store)
    await replicatedOf(store).inSync()
  },
  forgetsMs: FAILOVER_MS,
  takesMs: 5000,
})

export const failoverKilled = failover(
  'failover-killed',
  'killed',
  'SIGKILL of the master; another one takes over; the old one comes back as a replica',
)
export const failoverAsked = failover('failover-asked', 'asked', 'the master is told to hand over to a replica')
