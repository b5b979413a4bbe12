import { execFile } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { cpuPerJob, latencies, postAll } from '../load.ts'
import { openOutside } from '../stage.ts'
import { difference, round } from '../statistics.ts'
import { JOBS, WARM_UP } from './throughput.ts'

const program = (name: string) => [
  process.execPath,
  '--import',
  'tsx',
  path.join(import.meta.dirname, '../rivals', name),
]

/** The work alone: what `throughput` would reach if the queue, the API and the notifier cost nothing. */
export async function ceiling() {
  await using outside = await openOutside()
  const dir = path.join(outside.dir, 'files')
  await mkdir(dir)
  const [node = '', ...args] = program('ceiling.ts')
  const { stdout } = await promisify(execFile)(node, [
    ...args,
    outside.origin,
    outside.receiver,
    dir,
    String(JOBS),
    String(WARM_UP),
  ])
  const { ms, cpuMs } = JSON.parse(stdout) as { ms: number; cpuMs: number }
  return { jobs_per_s: round((JOBS / ms) * 1000, 0), cpu_ms_per_job: round(cpuMs / JOBS, 3) }
}

/** `throughput` on BullMQ, which has no groups in its free edition: nothing limits an aggregation here. */
export async function bullmq() {
  await using outside = await openOutside()
  const dir = path.join(outside.dir, 'files')
  await mkdir(dir)
  const rest = [String(outside.redis.port), outside.receiver, dir]
  const listening = await outside.start('api', [...program('bullmq.ts'), 'api', ...rest], /^listening/)
  await outside.start('processor', [...program('bullmq.ts'), 'downloads', ...rest], /^ready/)
  await outside.start('notifier', [...program('bullmq.ts'), 'callbacks', ...rest], /^ready/)
  const api = `http://127.0.0.1:${listening.split(' ')[1]}/`
  const post = async () => (await outside.post(api, { url: `${outside.origin}/0` })).id ?? ''

  await postAll(WARM_UP, post)
  await outside.count(WARM_UP)
  outside.begin()
  const before = outside.cpuMs()
  const redisBefore = await outside.redisCalls()
  const begin = performance.now()
  const posted = await postAll(JOBS, post)
  await outside.count(JOBS)
  const ms = performance.now() - begin
  const cpu = difference(outside.cpuMs(), before)
  const { commands, reads } = difference(await outside.redisCalls(), redisBefore)
  return {
    jobs_per_s: round((JOBS / ms) * 1000, 0),
    ...latencies(posted, (await outside.report()).callbacks),
    ...cpuPerJob(cpu, JOBS),
    redis_commands_per_job: round((commands ?? 0) / JOBS),
    redis_round_trips_per_job: round((reads ?? 0) / JOBS),
  }
}
