import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { pino } from 'pino'
import { type Client, connect } from '../../src/queue/redis.ts'
import { RedisConfig } from '../../src/queue/redis-config.ts'
import { checkInvariants, type Snapshot, snapshotOf } from '../support/queue-invariants.ts'
import { mainFile } from '../support/service.ts'
import { startRelay, type TcpRelay } from '../support/tcp-relay.ts'
import { type Account, accountOf, numbersOf } from './accounting.ts'
import { type ChaosClient, startClient } from './client.ts'
import { nowMs } from './clock.ts'
import { mountDisk } from './faults/disk.ts'
import type { Injected, World } from './faults/fault.ts'
import { CLOCK_JUMPS } from './faults/processes.ts'
import { filesUnder, leftIn } from './files.ts'
import { allProcesses, type Fleet, startFleet } from './fleet.ts'
import { inject } from './inject.ts'
import { watchMasters } from './masters.ts'
import { type Recorder, startRecorder } from './recorder-process.ts'
import type { Scenario } from './scenarios.ts'
import { scheduleOf } from './schedule.ts'
import { APIS, DRAIN_MS, KEY_PREFIX, LEASE_MS, NOTIFIERS, PROCESSORS, RATE, RECOVERY_MS } from './settings.ts'
import { startStore } from './store.ts'

export interface RunOptions {
  seed: string
  /** How long faults are injected, ms. */
  durationMs: number
  /** Jobs a second. */
  rate?: number
  say: (text: string) => void
}

/** What a scenario came to. */
export interface Outcome {
  scenario: Scenario
  injected: Injected[]
  account: Account
  /** What the processes logged. */
  logged: ReturnType<Fleet['logged']>
  /** How long the recorder was held up at most, ms. */
  lagMs: number
}

const WARM_UP_MS = 1000
const LOOK_MS = 100
/** A processor that starts sweeps at once. */
const SWEEP_MS = 5000

/**
 * Runs one scenario: starts everything anew, posts jobs, injects faults, heals, drains, and accounts.
 *
 * @throws {Error} when the machine cannot do what the scenario needs
 */
export async function runScenario(scenario: Scenario, options: RunOptions): Promise<Outcome> {
  const { durationMs, rate = RATE, say } = options
  const seed = `${options.seed} ${scenario.name}`
  await using dir = await temporaryFolder()
  await using disk = scenario.disk ? await mountDisk(path.join(dir.path, 'disk')) : undefined
  await using store = await startStore(scenario.store ?? 'always', scenario.waitReplicas ?? 0)
  using masters = watchMasters(store.sentinels)
  await using relays = await relaysFor(scenario.relays ? store.single?.port : undefined)
  await using recorder = await startRecorder(seed)
  const home = disk?.dir ?? dir.path
  const [root, tempDir] = [path.join(home, 'files'), path.join(home, 'tmp')]
  await mkdir(root)
  await using fleet = await startFleet({
    dir: dir.path,
    redis: store.config,
    root,
    tempDir,
    deletionMinutes: scenario.deletionMinutes ?? 60,
    processor: disk && { disk_high: 100, disk_low: 100 }, // it shall run into the end of the disk
    envOf: (name) => ({ ...relayEnv(relays.byName.get(name)), ...(scenario.clock ? clockEnv() : {}) }),
  })
  const redis = connect(
    RedisConfig.parse({ ...store.config, key_prefix: KEY_PREFIX }),
    'patient',
    pino({ enabled: false }),
  )
  using _ = { [Symbol.dispose]: () => redis.disconnect() }
  const world: World = { fleet, store, relays: relays.byName, disk }

  const schedule = scheduleOf(seed, scenario.faults, durationMs, scenario.lanes)
  await using client = startClient({ seed, rate, apis: fleet.apis, recorder })
  await delay(WARM_UP_MS)
  const injected = await inject(world, schedule, seed, say)
  if (injected.length === 0) await delay(durationMs)

  await recovered(recorder, client, injected)
  await client.stop()
  await drained(redis, scenario.deletionMinutes !== undefined)
  const mishaps: string[] = []
  const snapshot = await books(redis, mishaps)
  mishaps.push(...(await check(fleet)))
  await sweptUp(fleet)
  const temporary = await leftIn(tempDir, SWEEP_MS)
  const logged = fleet.logged()
  mishaps.push(...fleet.mishaps)

  const recording = await recorder.report()
  const { posts } = client
  const numbers = numbersOf({ posts, recording, snapshot })
  const files = await filesUnder(root, seed, (id) => numbers.get(id))
  const deleted = scenario.deletionMinutes !== undefined
  const { changesMs } = masters
  const waited = scenario.waitReplicas !== undefined
  const evidence = { seed, posts, recording, injected, changesMs, waited, snapshot, files, temporary, deleted, mishaps }
  return { scenario, injected, account: accountOf(evidence), logged, lagMs: recording.longestLagMs }
}

async function temporaryFolder() {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'downloader-chaos-'))
  return { path: folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

/** @param port none: no relays */
async function relaysFor(port: number | undefined) {
  const byName = new Map<string, TcpRelay>()
  if (port !== undefined) for (const name of allProcesses) byName.set(name, await startRelay(port))
  return {
    byName,
    async [Symbol.asyncDispose]() {
      await Promise.all([...byName.values()].map((relay) => relay[Symbol.asyncDispose]()))
    },
  }
}

const relayEnv = (relay: TcpRelay | undefined) => (relay ? { DOWNLOADER_REDIS__ADDR: relay.addr } : {})

function clockEnv() {
  const preload = pathToFileURL(path.join(import.meta.dirname, 'faults', 'clock-jump.mjs'))
  return { NODE_OPTIONS: `--import=${preload.href}`, ...CLOCK_JUMPS }
}

/** Waits, while jobs still come, until every process has done something since the last fault; at most the time allowed. */
async function recovered(recorder: Recorder, client: ChaosClient, injected: readonly Injected[]): Promise<void> {
  const healedMs = Math.max(0, ...injected.map(({ toMs }) => toMs))
  const deadlineMs = nowMs() + RECOVERY_MS + LEASE_MS
  while (nowMs() < deadlineMs) {
    const { lastMs } = await recorder.seen()
    const workers = [...PROCESSORS, ...NOTIFIERS].every((name) => (lastMs[name] ?? 0) > healedMs)
    const apis = APIS.every((name) =>
      client.posts.some(({ api, id, sentMs }) => api === name && id && sentMs > healedMs),
    )
    if (workers && apis) return
    await delay(LOOK_MS)
  }
}

/** Waits until no download, callback and, if so wanted, deletion is left to do; at most the time allowed. */
async function drained(redis: Client, deletions: boolean): Promise<void> {
  const rooms = ['downloads', 'callbacks:http', ...(deletions ? ['deletions:filesystem'] : [])]
  const deadlineMs = nowMs() + DRAIN_MS
  while (nowMs() < deadlineMs) {
    const groups = await Promise.all(rooms.map((room) => redis.hlen(`{${KEY_PREFIX}}:${room}:groups`)))
    if (groups.every((count) => count === 0)) return
    await delay(LOOK_MS)
  }
}

async function books(redis: Client, mishaps: string[]): Promise<Snapshot> {
  const base = `{${KEY_PREFIX}}:`
  try {
    return await checkInvariants(redis, base)
  } catch (error) {
    mishaps.push(`the books do not agree: ${(error as Error).message}`)
    return snapshotOf(redis, base)
  }
}

/** `downloader check` must find nothing. */
async function check({ configFile }: Fleet): Promise<string[]> {
  const run = promisify(execFile)(process.execPath, [mainFile, 'check', '-c', configFile])
  return run.then(
    () => [],
    (error: { stdout: string; stderr: string }) => [`downloader check: ${error.stdout}${error.stderr}`],
  )
}

/** All processes stop as they are told; then one processor starts, which sweeps up what others left. */
async function sweptUp(fleet: Fleet): Promise<void> {
  await Promise.all(allProcesses.map((name) => fleet.end(name, 'SIGTERM')))
  await fleet.start(PROCESSORS[0])
}
