import { fullDisk } from './faults/disk.ts'
import type { Fault } from './faults/fault.ts'
import { cut, halfClose, loseReplies, partition, refuse, slow } from './faults/network.ts'
import {
  clockJump,
  fewFiles,
  freezeNotifier,
  freezeProcessor,
  killApi,
  killNotifier,
  killProcessor,
  terminate,
} from './faults/processes.ts'
import { failoverAsked, failoverKilled, flushScripts, freezeRedis, killRedis, powerCut } from './faults/redis.ts'
import type { StoreKind } from './store.ts'

/** A fresh service, and what happens to it. */
export interface Scenario {
  name: string
  faults: readonly Fault[]
  /** Faults at once. */
  lanes?: number
  /** Of the time, compared with the others. */
  shares?: number
  store?: StoreKind
  waitReplicas?: number
  /** Each process reaches Redis through a relay of its own. */
  relays?: boolean
  /** Files and temporary files lie on a small disk of their own. */
  disk?: boolean
  /** Processes are started so that their clock can jump. */
  clock?: boolean
  /** Files are deleted so long after delivery; an hour, which is longer than any scenario. */
  deletionMinutes?: number
}

const processes = [killProcessor, killNotifier, killApi, freezeProcessor, freezeNotifier, terminate]

export const scenarios: readonly Scenario[] = [
  { name: 'calm', faults: [] },
  { name: 'kill-processor', faults: [killProcessor] },
  { name: 'kill-notifier', faults: [killNotifier] },
  { name: 'kill-api', faults: [killApi] },
  { name: 'freeze-processor', faults: [freezeProcessor], lanes: 2 },
  { name: 'freeze-notifier', faults: [freezeNotifier] },
  { name: 'terminate', faults: [terminate] },
  { name: 'few-files', faults: [fewFiles], lanes: 3 },
  { name: 'clock-jump', faults: [clockJump], lanes: 3, clock: true },
  { name: 'full-disk', faults: [fullDisk], disk: true },
  {
    name: 'network',
    faults: [cut, halfClose, refuse, slow, loseReplies, partition],
    relays: true,
    lanes: 2,
    shares: 2,
  },
  { name: 'script-flush', faults: [flushScripts, killProcessor] },
  { name: 'freeze-redis', faults: [freezeRedis] },
  { name: 'kill-redis', faults: [killRedis] },
  { name: 'kill-redis-everysec', faults: [killRedis], store: 'everysec' },
  { name: 'power-cut-everysec', faults: [powerCut], store: 'everysec' },
  { name: 'sentinel', faults: [failoverKilled, failoverAsked], store: 'sentinel' },
  { name: 'sentinel-wait', faults: [failoverKilled], store: 'sentinel', waitReplicas: 1 },
  { name: 'cluster', faults: [failoverKilled, failoverAsked], store: 'cluster' },
  { name: 'cluster-wait', faults: [failoverKilled, failoverAsked], store: 'cluster', waitReplicas: 1 },
  {
    name: 'mix',
    faults: [...processes, killRedis, freezeRedis, flushScripts, cut, partition, fewFiles],
    relays: true,
    lanes: 3,
    shares: 4,
    deletionMinutes: 0.02,
  },
]

/** What `npm test` runs: every kind of fault in half a minute. */
export const short: Scenario = {
  name: 'short',
  faults: [killProcessor, killNotifier, killApi, freezeProcessor, killRedis, cut, flushScripts],
  relays: true,
  lanes: 3,
  deletionMinutes: 0.02,
}
