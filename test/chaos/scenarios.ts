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
  /** One sentence for the report. */
  about: string
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
  { name: 'calm', about: 'only origin and receivers make trouble', faults: [] },
  { name: 'kill-processor', about: 'one after the other', faults: [killProcessor] },
  { name: 'kill-notifier', about: 'one after the other', faults: [killNotifier] },
  { name: 'kill-api', about: 'one after the other; the client goes on posting', faults: [killApi] },
  { name: 'freeze-processor', about: 'two at once', faults: [freezeProcessor], lanes: 2 },
  { name: 'freeze-notifier', about: 'one after the other', faults: [freezeNotifier] },
  { name: 'terminate', about: 'as in a rolling update', faults: [terminate] },
  { name: 'few-files', about: 'processors, notifiers and APIs, several at once', faults: [fewFiles], lanes: 3 },
  { name: 'clock-jump', about: 'several at once, by up to a day', faults: [clockJump], lanes: 3, clock: true },
  {
    name: 'full-disk',
    about: 'root and storage_dir on a tmpfs, without the guard that stops claiming at disk_high',
    faults: [fullDisk],
    disk: true,
  },
  {
    name: 'network',
    about: 'each process has a relay of its own on the way to Redis; two are broken at once',
    faults: [cut, halfClose, refuse, slow, loseReplies, partition],
    relays: true,
    lanes: 2,
    shares: 2,
  },
  { name: 'script-flush', about: 'with processors that die at the same time', faults: [flushScripts, killProcessor] },
  { name: 'freeze-redis', about: 'for up to 5 s', faults: [freezeRedis] },
  { name: 'kill-redis', about: 'appendfsync always', faults: [killRedis] },
  { name: 'kill-redis-everysec', about: 'appendfsync everysec', faults: [killRedis], store: 'everysec' },
  { name: 'power-cut-everysec', about: 'appendfsync everysec', faults: [powerCut], store: 'everysec' },
  {
    name: 'sentinel',
    about: 'a master, two replicas, three Sentinels',
    faults: [failoverKilled, failoverAsked],
    store: 'sentinel',
  },
  {
    name: 'sentinel-wait',
    about: 'the same with wait_replicas 1',
    faults: [failoverKilled],
    store: 'sentinel',
    waitReplicas: 1,
  },
  {
    name: 'cluster',
    about: 'three masters with a replica each; the master of our slot is lost',
    faults: [failoverKilled, failoverAsked],
    store: 'cluster',
  },
  {
    name: 'cluster-wait',
    about: 'the same with wait_replicas 1',
    faults: [failoverKilled, failoverAsked],
    store: 'cluster',
    waitReplicas: 1,
  },
  {
    name: 'mix',
    about: 'three faults at once, on different processes, Redis and the network; files are deleted soon after delivery',
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
  about: 'a little of everything',
  faults: [killProcessor, killNotifier, killApi, freezeProcessor, killRedis, cut, flushScripts],
  relays: true,
  lanes: 3,
  deletionMinutes: 0.02,
}
