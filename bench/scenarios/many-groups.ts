import { setTimeout as delay } from 'node:timers/promises'
import type { Claim } from '../../src/queue/room.ts'
import { now } from '../clock.ts'
import { startDownloader } from '../downloader.ts'
import { type Context, deadlineMs, post, scaled } from '../load.ts'
import { tcpPorts } from '../proc.ts'
import { addMany, type Inside, never, openQueue } from '../queue.ts'
import { openStage, type Service, type Stage } from '../stage.ts'
import { type Figures, quantile, round } from '../statistics.ts'
import { FILE_BYTES } from './throughput.ts'

const GROUPS = 10_000
const JOBS = 200
/** Two rounds of everything that a process does every five seconds, and a half. */
const IDLE_MS = 12_500
const PAUSE_MS = 10

/**
 * 10,000 groups of limit 1, in each of which a job runs, at a worker that does not end it, and one waits. Then one group
 * more that is free: how soon a job of it begins, what an idle process asks of Redis, and how soon a group begins that
 * was full.
 */
export async function manyGroups(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startDownloader(stage, { processors: 0, notifiers: 0 })
  await using inside = openQueue(stage)
  const groups = scaled(GROUPS, context)
  const held = await fill(stage, inside, groups)
  await service.add('notifier')
  await service.add('processor')
  await delay(1000)

  const asked = await idle(service, inside, context)
  const jobs = Math.min(scaled(JOBS, context), groups)
  const wakeMs = await each(stage, jobs, async () => {
    const job = { aggr_id: 'free', aggr_limit: 1, url: stage.file(FILE_BYTES) }
    const [[, postedMs] = ['', 0]] = await post(stage, service, { jobs: 1, aggregations: 1, job })
    return postedMs
  })
  const freedMs = await each(stage, jobs, async (i) => {
    const settledMs = now()
    const claim = held[i]
    if (claim) await inside.downloads.settle(claim, { place: { kind: 'gone' }, patch: {} }, never)
    return settledMs
  })
  const calls = Object.values(asked.calls)
  return {
    groups,
    // from the POST, and from the settle, to the request at the origin
    wake_p50_ms: round(quantile(wakeMs, 0.5)),
    wake_p99_ms: round(quantile(wakeMs, 0.99)),
    freed_p50_ms: round(quantile(freedMs, 0.5)),
    freed_p99_ms: round(quantile(freedMs, 0.99)),
    ...Object.fromEntries(Object.entries(asked.calls).map(([role, perS]) => [`idle calls_per_s ${role}`, perS])),
    'idle calls_per_s most': Math.max(...calls),
    'idle commands_per_s in scripts, all': asked.inScripts,
  }
}

/** Two jobs in each group, one of which is claimed by us: resolves to those. */
async function fill(stage: Stage, { queue, downloads }: Inside, groups: number): Promise<Claim[]> {
  await addMany(2 * groups, (i) =>
    queue.add({
      aggrId: `full-${i % groups}`,
      aggrLimit: 1,
      url: stage.file(FILE_BYTES),
      callbackType: 'http',
      callbackDst: stage.receiverUrl,
    }),
  )
  const held: Claim[] = []
  while (held.length < groups) {
    const { claims } = await downloads.claim(1000, never)
    if (claims.length === 0) throw new Error(`${held.length} of ${groups} groups could be claimed from`)
    held.push(...claims)
  }
  return held
}

/** Makes a job claimable, one at a time: how long until the origin is asked for it, in ms. */
async function each(stage: Stage, count: number, begin: (i: number) => Promise<number>): Promise<number[]> {
  const ms: number[] = []
  for (let i = 0; i < count; i++) {
    await stage.begin()
    const beginMs = await begin(i)
    await stage.receiver.ask.reached(1, deadlineMs(1))
    const { firstMs } = await stage.origin.ask.report()
    ms.push(firstMs - beginMs)
    await delay(PAUSE_MS)
  }
  return ms
}

/** What each process sends to Redis when there is nothing to do, and what Redis runs for it within scripts, a second. */
async function idle(service: Service, { redis }: Inside, context: Context) {
  const roleOf = new Map<number, string>()
  for (const [role, pid] of service.processes()) for (const port of tcpPorts(pid)) roleOf.set(port, role)
  const calls: Record<string, number> = Object.fromEntries(service.processes().map(([role]) => [role, 0]))
  let inScripts = 0
  const monitor = await redis.monitor()
  monitor.on('monitor', (_time: string, _command: string[], source: string) => {
    const role = roleOf.get(Number(source.split(':').at(-1)))
    if (source === 'lua') inScripts++
    else if (role !== undefined) calls[role] = (calls[role] ?? 0) + 1
  })
  const ms = IDLE_MS * Math.max(context.scale, 0.4)
  await delay(ms)
  monitor.disconnect()
  const perS = (count: number) => round(count / (ms / 1000))
  return {
    calls: Object.fromEntries(Object.entries(calls).map(([role, count]) => [role, perS(count)])),
    inScripts: perS(inScripts),
  }
}
