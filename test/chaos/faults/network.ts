import { setTimeout as delay } from 'node:timers/promises'
import type { Direction, TcpRelay } from '../../support/tcp-relay.ts'
import { allProcesses } from '../fleet.ts'
import { LEASE_MS } from '../settings.ts'
import { type Fault, itself, type World } from './fault.ts'

function relayOf({ relays }: World, target: string): TcpRelay {
  const relay = relays.get(target)
  if (!relay) throw new Error(`${target} has no relay`)
  return relay
}

/** On the way between one process and Redis; the others go on. */
const common = {
  targets: allProcesses,
  stops: itself,
  repeats: (target: string) => target.startsWith('n'),
  restMs: 1000,
}

export const cut: Fault = {
  ...common,
  name: 'net-cut',
  about: 'all connections of a process to Redis break, several times',
  forMs: [0, 0],
  async begin(world, target, random) {
    for (let i = random.between(1, 4); i > 0; i--) {
      relayOf(world, target).cut()
      await delay(random.between(20, 300))
    }
  },
  async end() {},
}

export const halfClose: Fault = {
  ...common,
  name: 'net-half-close',
  about: 'the connections of a process to Redis are closed towards the process, and stay open towards Redis',
  forMs: [0, 0],
  begin: async (world, target) => relayOf(world, target).halfClose(),
  async end() {},
}

export const refuse: Fault = {
  ...common,
  name: 'net-refuse',
  about: 'a process is refused every connection to Redis, sometimes for longer than a lease',
  forMs: [500, LEASE_MS + 3000],
  begin: (world, target) => relayOf(world, target).refuse(),
  end: (world, target) => relayOf(world, target).accept(),
}

export const slow: Fault = {
  ...common,
  name: 'net-slow',
  about: 'everything between a process and Redis comes 20 to 400 ms later, each way',
  forMs: [1000, 3000],
  begin: async (world, target, random) => relayOf(world, target).delay(random.between(20, 400)),
  end: async (world, target) => relayOf(world, target).delay(0),
}

const silence = (name: string, direction: Direction, about: string): Fault => ({
  ...common,
  name,
  about,
  forMs: [1000, LEASE_MS + 3000],
  begin: async (world, target) => relayOf(world, target).swallow(direction),
  async end(world, target) {
    relayOf(world, target).swallow(undefined)
    relayOf(world, target).cut() // a network that comes back resets what has lost bytes
  },
})

export const loseReplies = silence(
  'net-lose-replies',
  'replies',
  'what a process tells Redis arrives, and no answer comes back, sometimes for longer than a lease',
)
export const partition = silence(
  'net-partition',
  'both',
  'nothing passes between a process and Redis, sometimes for longer than a lease',
)
