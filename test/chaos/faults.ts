import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TestRedis } from '../support/redis.ts'
import type { Replicated } from '../support/replication.ts'
import type { TcpRelay } from '../support/tcp-relay.ts'
import type { Random } from './random.ts'
import { LEASE_MS, type RoleName, type World } from './world.ts'

/** What a fault may lay hands on. */
export interface Stage {
  world: World
  random: Random
  /** The server, where there is one. */
  redis?: TestRedis
  /** The way to it. */
  relay?: TcpRelay
  /** Sentinels or a Cluster. */
  set?: Replicated
}

/** Breaks something, waits, and mends it; resolves when all is whole again. */
export interface Fault {
  name: string
  run(stage: Stage): Promise<void>
}

function part<T>(what: T | undefined): T {
  if (what === undefined) throw new Error('this fault needs a part that the scenario does not have')
  return what
}

/** A process dies at once; its supervisor starts it again. */
export const kill = (role: RoleName): Fault => ({
  name: `SIGKILL ${role}`,
  async run({ world, random }) {
    random.pick(world.membersOf(role)).signal('SIGKILL')
    await delay(random.int(200, 1500))
  },
})

export const terminate = (role: RoleName): Fault => ({
  name: `SIGTERM ${role}`,
  async run({ world, random }) {
    random.pick(world.membersOf(role)).signal('SIGTERM')
    await delay(random.int(500, 1500))
  },
})

/** Shorter than a lease, or well beyond it: then others have its jobs when it goes on. */
export const freeze = (role: RoleName, beyondLease: boolean): Fault => ({
  name: `SIGSTOP ${role} ${beyondLease ? 'beyond its lease' : 'for a moment'}`,
  async run({ world, random }) {
    const member = random.pick(world.membersOf(role))
    member.signal('SIGSTOP')
    if (beyondLease) world.tell({ kind: 'frozen', processor: member.name })
    await delay(beyondLease ? LEASE_MS + random.int(500, 2000) : random.int(100, LEASE_MS / 3))
    member.signal('SIGCONT')
    await delay(200)
  },
})

export const killRedis: Fault = {
  name: 'SIGKILL Redis',
  async run({ redis, random }) {
    await part(redis).kill()
    await delay(random.int(50, 2500))
    await part(redis).start()
  },
}

export const freezeRedis: Fault = {
  name: 'SIGSTOP Redis',
  async run({ redis, random }) {
    part(redis).pause()
    await delay(random.int(200, LEASE_MS + 1500))
    part(redis).resume()
  },
}

export const flushScripts: Fault = {
  name: 'SCRIPT FLUSH',
  async run({ redis }) {
    await part(redis).cli('SCRIPT', 'FLUSH')
  },
}

export const cutNetwork: Fault = {
  name: 'connections to Redis cut',
  async run({ relay }) {
    part(relay).cut()
    await delay(100)
  },
}

/** Bytes stand still in one direction or both, and then go on, or are lost with their connections. */
export const holdNetwork: Fault = {
  name: 'connections to Redis delayed',
  async run({ relay, random }) {
    part(relay).hold(random.pick(['requests', 'replies', 'both']))
    await delay(random.int(100, LEASE_MS))
    if (random.next() < 0.5) part(relay).cut()
    part(relay).release()
  },
}

export const halfCloseNetwork: Fault = {
  name: 'connections to Redis half-closed',
  async run({ relay }) {
    part(relay).halfClose()
    await delay(500)
    part(relay).cut()
  },
}

export const refuseNetwork: Fault = {
  name: 'connections to Redis refused',
  async run({ relay, random }) {
    part(relay).refusing = true
    part(relay).cut()
    await delay(random.int(300, LEASE_MS + 1500))
    part(relay).refusing = false
  },
}

export const failover = (how: 'killed' | 'asked'): Fault => ({
  name: how === 'killed' ? 'SIGKILL the master' : 'failover that is asked for',
  async run({ set }) {
    const old = await part(set).failover(how)
    await delay(1000)
    if (how === 'killed') await old.start()
    await part(set).inSync()
  },
})

export const fillDisk: Fault = {
  name: 'disk full',
  async run({ world, random }) {
    const filler = path.join(world.root, '..', 'filler')
    for (let bytes = 64 * 2 ** 20; bytes >= 4096; bytes = Math.floor(bytes / 2)) {
      await writeFile(`${filler}.${bytes}`, Buffer.alloc(bytes)).catch(() => {})
    }
    await delay(random.int(500, 2000))
    for (let bytes = 64 * 2 ** 20; bytes >= 4096; bytes = Math.floor(bytes / 2))
      await rm(`${filler}.${bytes}`, { force: true })
  },
}

/** One more processor, which may open hardly any file or socket. */
export const starveOfDescriptors: Fault = {
  name: 'out of file descriptors',
  async run({ world, random }) {
    const member = await world.add('processor', { limits: `ulimit -n ${random.int(44, 64)};` })
    await delay(4000)
    await world.remove(member, 'SIGTERM')
  },
}

/** One more processor and notifier, whose clock jumps by hours. */
export const jumpClock: Fault = {
  name: 'clock jumps',
  async run({ world }) {
    const env = { NODE_OPTIONS: `--import=${path.join(import.meta.dirname, 'jumping-clock.mjs')}` }
    const members = [await world.add('processor', { env }), await world.add('notifier', { env })]
    await delay(4000)
    for (const member of members) await world.remove(member, 'SIGTERM')
  },
}
