import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startRole } from '../support/service.ts'
import { type Client, clientOf, GROUPS } from './client.ts'
import { contentOf, sha256Of } from './content.ts'
import type { Stage } from './faults.ts'
import { randomOf } from './random.ts'
import type { Report } from './recorder.ts'
import type { Ground, Scenario } from './scenarios.ts'
import { LEASE_MS, openWorld, type World } from './world.ts'

const JOBS_PER_S = 40
/** What was broken works again so long after it was mended, at the latest: what we promise. */
export const RECOVERY_MS = LEASE_MS + 5000
const DRAIN_MS = 120_000
/** When nothing came for so long, nothing will: longer than any retry or lease here. */
const SILENCE_MS = 20_000

/** The account of one scenario. */
export interface Row {
  scenario: string
  seconds: number
  faults: Record<string, number>
  accepted: number
  lost: number
  /** Callbacks beyond the first of a job, and how many may be: those in flight at the faults. */
  twice: number
  mayBeTwice: number
  /** Most requests open at once, of each aggregation, without those of processes frozen beyond their lease. */
  concurrency: Record<string, number>
  /** The same with them. */
  withFrozen: Record<string, number>
  partialFiles: number
  temporaryFiles: number
  recoveryMs: number
  /** What was promised and does not hold. */
  broken: string[]
}

export interface PlayOptions {
  seconds: number
  seed: number
  say(text: string): void
}

/** Runs the service under load while things break, mends all, waits until all is done, and adds up. */
export async function play(scenario: Scenario, { seconds, seed, say }: PlayOptions): Promise<Row> {
  const random = randomOf(seed)
  await using ground = await scenario.ground()
  await using world = await openWorld({
    redis: ground.config,
    ...(scenario.processor ? { processor: scenario.processor } : {}),
    ...(scenario.prepare ? { prepare: scenario.prepare } : {}),
  })
  const client = clientOf(world, randomOf(seed + 1))
  await client.probe(15_000)
  const stage: Stage = { world, random, ...ground.parts }
  const happened: { name: string; at: number; inFlight: number }[] = []

  const over = delay(seconds * 1000)
  const loading = client.load(JOBS_PER_S, over)
  let ended = false
  void over.then(() => {
    ended = true
  })
  while (!ended) {
    await delay(random.int(300, 1500))
    const fault = random.pick(scenario.faults)
    const inFlight = await callbacksInFlight(ground, world)
    say(`  ${fault.name}`)
    happened.push({ name: fault.name, at: Date.now(), inFlight })
    await fault.run(stage)
  }
  await loading

  world.tell({ kind: 'heal' })
  const healed = Date.now()
  const broken: string[] = []
  const recoveryMs = await recovery(world, client, healed).catch((error: Error) => {
    broken.push(error.message)
    return Number.POSITIVE_INFINITY
  })
  say(`  healed; all processes worked again after ${recoveryMs} ms; waiting for ${client.posts.length} jobs`)
  await drain(world, client)
  await sweep(world)
  const report = await world.report()
  const row = {
    scenario: scenario.name,
    seconds,
    faults: countBy(happened.map(({ name }) => name)),
    recoveryMs,
    broken,
    ...account(client, report, happened, scenario),
    ...(await files(world, report)),
  }
  if (recoveryMs > RECOVERY_MS) broken.push(`it took ${recoveryMs} ms to recover`)
  const check = startRole(['check', '-c', world.configFile])
  if ((await check.ended) !== 0) broken.push(`downloader check: ${check.stdout()}${check.stderr()}`)
  for (const { crashes } of world.members) broken.push(...crashes)
  judge(row, scenario)
  return row
}

/** Callbacks that a fault at this moment may let happen again. */
async function callbacksInFlight(ground: Ground, world: World): Promise<number> {
  const claimed = await ground.ask('HLEN', '{downloader}:callbacks:http:claims').catch(() => '')
  return Math.max(Number(claimed), (await world.report()).answering)
}

/** Until a new job was called back, and every processor has asked the origin for something. */
async function recovery(world: World, client: Client, since: number): Promise<number> {
  const first = await client.probe(RECOVERY_MS * 2)
  const probes = [first]
  const deadline = Date.now() + RECOVERY_MS * 3
  for (;;) {
    const { callbacks, lastRequest } = await world.report()
    const called = callbacks.some(({ n }) => probes.includes(n))
    const idle = world.membersOf('processor').filter(({ name }) => (lastRequest[name] ?? 0) <= since)
    if (called && idle.length === 0) return Date.now() - since
    if (Date.now() > deadline) {
      const who = called ? idle.map(({ name }) => name).join(', ') : 'the notifiers'
      throw new Error(`not everything works again ${Date.now() - since} ms after all was healed: ${who}`)
    }
    // several at once: one alone may always go to the same processor
    probes.push(...(await Promise.all([1, 2, 3, 4].map(() => client.probe(RECOVERY_MS)))))
  }
}

/** Until every job that was accepted was called back, or nothing has come for long. */
async function drain(world: World, client: Client): Promise<void> {
  const deadline = Date.now() + DRAIN_MS
  let before = -1
  let changed = Date.now()
  while (Date.now() < deadline) {
    const { callbacks } = await world.report()
    const called = new Set(callbacks.map(({ n }) => n))
    if (client.posts.every(({ n, end }) => end === 'refused' || called.has(n))) return
    if (callbacks.length !== before) changed = Date.now()
    before = callbacks.length
    const missing = client.posts.some(({ n, end }) => end === 'accepted' && !called.has(n))
    // jobs whose POST had no answer need not be there
    if (Date.now() - changed > (missing ? SILENCE_MS : LEASE_MS + 2000)) return
    await delay(200)
  }
}

/** A processor that starts removes what dead ones left; the others are idle. */
async function sweep(world: World): Promise<void> {
  const [processor] = world.membersOf('processor')
  processor?.signal('SIGTERM')
  const deadline = Date.now() + 10_000
  while ((await readdir(world.tempDir)).length > 0 && Date.now() < deadline) await delay(100)
}

function account(client: Client, report: Report, happened: { at: number; inFlight: number }[], scenario: Scenario) {
  const called = new Map<number, number>()
  for (const { n } of report.callbacks) called.set(n, (called.get(n) ?? 0) + 1)
  const accepted = client.posts.filter(({ n, end }) => end === 'accepted' || called.has(n))
  const lost = client.posts.filter(({ n, end }) => end === 'accepted' && !called.has(n))
  const excused = ({ at }: { at: number }) =>
    happened.some((fault) => at <= fault.at + 1500 && at > fault.at - scenario.mayLoseMs)
  const inexcusable = scenario.mayLoseMs > 0 ? lost.filter((post) => !excused(post)) : lost
  return {
    accepted: accepted.length,
    lost: lost.length,
    inexcusable: inexcusable.map(
      ({ n, id, at }) => `job ${n} (${id}), accepted at ${new Date(at).toISOString()}, was lost`,
    ),
    twice: report.callbacks.length - called.size,
    mayBeTwice: happened.reduce((sum, { inFlight }) => sum + inFlight, 0),
    concurrency: most(report, 'mostOfTheLiving'),
    withFrozen: most(report, 'most'),
    failed: report.callbacks.filter(({ success }) => !success).map(({ n, code }) => `job ${n} failed: ${code}`),
    wrong: report.callbacks
      .filter(({ n, success, sha256 }) => success && sha256 !== sha256Of(contentOf(n)))
      .map(({ n }) => `job ${n} was called back with a wrong digest`),
  }
}

function most(report: Report, figure: 'most' | 'mostOfTheLiving'): Record<string, number> {
  return Object.fromEntries(Object.keys(GROUPS).map((group) => [group, report.groups[group]?.[figure] ?? 0]))
}

/** Every file under the root is whole, and every job that was told of has its file. */
async function files(world: World, report: Report) {
  const numberOf = new Map(report.callbacks.map(({ id, n }) => [id, n]))
  const found = (await readdir(world.root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  const ids = new Set(found.map(({ name }) => name))
  let partialFiles = 0
  for (const { name, parentPath } of found) {
    const n = numberOf.get(name)
    const bytes = await readFile(path.join(parentPath, name))
    // of a job that nobody was told of, the first bytes still say whose they should be
    if (n === undefined ? bytes.length < 500 : !bytes.equals(contentOf(n))) partialFiles++
  }
  const missing = report.callbacks.filter(({ id, success }) => success && !ids.has(id))
  const temporaryFiles = (await readdir(world.tempDir)).length
  return {
    partialFiles,
    temporaryFiles,
    missing: missing.map(({ n, id }) => `the file of job ${n} (${id}) is missing`),
  }
}

function judge(
  row: Row & { inexcusable: string[]; failed: string[]; wrong: string[]; missing: string[] },
  { mayLoseMs }: Scenario,
): void {
  const { broken } = row
  broken.push(...row.inexcusable, ...row.failed, ...row.wrong)
  // a file whose job was lost with the last writes of a Redis may be rewritten, never be missing
  broken.push(...row.missing)
  if (mayLoseMs === 0 && row.lost > 0) broken.push(`${row.lost} jobs were lost`)
  if (row.twice > row.mayBeTwice) broken.push(`${row.twice} callbacks came twice, ${row.mayBeTwice} were in flight`)
  for (const [group, limit] of Object.entries(GROUPS)) {
    const reached = row.concurrency[group] ?? 0
    if (reached > limit) broken.push(`${group}: ${reached} requests were open at once, and its limit is ${limit}`)
  }
  if (row.partialFiles > 0) broken.push(`${row.partialFiles} files under the root are not whole`)
  if (row.temporaryFiles > 0) broken.push(`${row.temporaryFiles} temporary files are left`)
}

function countBy(names: string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
