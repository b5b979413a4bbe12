import type { TcpRelay } from '../../support/tcp-relay.ts'
import type { Fleet } from '../fleet.ts'
import type { Random } from '../random.ts'
import type { Store } from '../store.ts'
import type { Disk } from './disk.ts'

/** What faults can get at. */
export interface World {
  fleet: Fleet
  store: Store
  /** Process → its way to Redis, in scenarios that have such. */
  relays: Map<string, TcpRelay>
  disk: Disk | undefined
}

/** Something that goes wrong for a time, and is over then. */
export interface Fault {
  name: string
  /** One sentence for the report. */
  about: string
  /** What it can be done to; the schedule picks one. */
  targets: readonly string[]
  /** How long it lasts, ms. */
  forMs: readonly [from: number, to: number]
  /** How long its beginning and end take beside, about, ms; 0 unless given. */
  takesMs?: number
  /** How long the service gets until the next one. */
  restMs: number
  begin(world: World, target: string, random: Random): Promise<void>
  end(world: World, target: string): Promise<void>
  /** The processes that it keeps from working. */
  stops(target: string): readonly string[]
  /** Whether a callback under way may come twice. */
  repeats(target: string): boolean
  /** The process does nothing from the beginning on. */
  stopsAtOnce?: boolean
  /** The process keeps its requests open, though it cannot keep its leases. */
  freezes?: boolean
  /** Redis may forget what it has been told within so many ms before, and until it is over. */
  forgetsMs?: number
}

/** A fault that was injected. Times by `nowMs`. */
export interface Injected {
  fault: Fault
  target: string
  fromMs: number
  toMs: number
}

export const everyone = (all: readonly string[]) => () => all
export const itself = (target: string): readonly string[] => [target]
