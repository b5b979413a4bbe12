import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { cpuMs } from './proc.ts'
import { byRole, type Service, type Stage } from './stage.ts'
import { difference, type Figures, round, spread } from './statistics.ts'

/** What a run is told by the command line. */
export interface Context {
  /** 1, or less for a short run: of jobs and bytes. Nothing is judged by those. */
  scale: number
  /** Folder for CPU profiles and command statistics of `throughput`. */
  profileDir?: string | undefined
}

/** So many, at this run's scale. */
export const scaled = (count: number, { scale }: Context): number => Math.max(1, Math.round(count * scale))

/** How long a wait may last: far longer than any run, but not for ever. */
export const deadlineMs = (jobs: number): number => 60_000 + 50 * jobs

export interface Load {
  jobs: number
  warmUp: number
  aggregations: number
  job: { aggr_id: string } & Record<string, unknown>
}

const CLIENTS = 32

export function post(stage: Stage, service: Service, { jobs, aggregations, job }: Omit<Load, 'warmUp'>) {
  const whole = { callback_type: 'http', callback_dst: stage.receiverUrl, ...job }
  return stage.driver.ask.post({
    url: service.url,
    count: jobs,
    clients: Math.min(CLIENTS, jobs),
    aggregations,
    job: whole,
  })
}

const WARM_UP = 3000

/** What runs for days has been compiled long ago: the first thousands of jobs tell about the engine, not about us. */
export async function warmUp(stage: Stage, service: Service, context: Context): Promise<void> {
  const jobs = scaled(WARM_UP, context)
  await stage.begin()
  const job = { aggr_id: 'warm-up', aggr_limit: 20, url: stage.file(1024) }
  await post(stage, service, { jobs, aggregations: 20, job })
  await stage.receiver.ask.reached(jobs, deadlineMs(jobs))
}

/** Posts jobs until all are called back, after a warm-up; measured from the first POST to the last callback. */
export async function drive(stage: Stage, service: Service, load: Load, profileDir?: string): Promise<Figures> {
  const { jobs, warmUp } = load
  await post(stage, service, { ...load, jobs: warmUp })
  await stage.receiver.ask.reached(warmUp, deadlineMs(warmUp))
  await stage.begin()

  const helpers = [stage.origin, stage.receiver, stage.driver].map(({ pid }): [string, number] => ['load', pid])
  const cpu = () => byRole([...service.processes(), ['redis', stage.redis.pid], ...helpers], cpuMs)
  if (profileDir) await stage.redis.cli('CONFIG', 'RESETSTAT')
  const cpuBefore = cpu()
  const redisBefore = await stage.redisCalls()
  const posted = await post(stage, service, load)
  await stage.receiver.ask.reached(jobs, deadlineMs(jobs))
  const cpuUsed = difference(cpu(), cpuBefore)
  const { commands = 0, reads = 0 } = difference(await stage.redisCalls(), redisBefore)
  const callbacks = await stage.receiver.ask.report()
  if (profileDir) {
    const text = await stage.redis.cli('INFO', 'commandstats')
    await writeFile(path.join(profileDir, 'commandstats.txt'), text)
  }

  const failed = callbacks.filter(([id]) => id.endsWith(' failed')).length
  if (failed > 0) throw new Error(`${failed} of ${jobs} jobs failed`)
  const postedMs = new Map(posted)
  const { redis = 0, load: byUs = 0, ...roles } = cpuUsed
  const perJob = (value: number) => round(value / jobs, 3)
  const ms = Math.max(...callbacks.map(([, atMs]) => atMs)) - Math.min(...postedMs.values())
  const { p50_ms = 0, p95_ms = 0 } = spread(callbacks.map(([id, atMs]) => atMs - (postedMs.get(id) ?? Number.NaN)))
  return {
    jobs_per_s: round((jobs / ms) * 1000, 0),
    p50_ms: round(p50_ms, 0),
    p95_ms: round(p95_ms, 0),
    'cpu_ms_per_job all roles': perJob(Object.values(roles).reduce((sum, ms) => sum + ms, 0)),
    ...Object.fromEntries(Object.entries(roles).map(([role, ms]) => [`cpu_ms_per_job ${role}`, perJob(ms)])),
    'cpu_ms_per_job redis': perJob(redis),
    'cpu_ms_per_job origin, receiver, driver': perJob(byUs),
    redis_commands_per_job: round(commands / jobs),
    redis_round_trips_per_job: round(reads / jobs),
  }
}
