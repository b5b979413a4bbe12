import { execFile } from 'node:child_process'
import { open, rm } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { startDownloader } from '../downloader.ts'
import { type Context, deadlineMs, post, scaled } from '../load.ts'
import { rssBytes, sampling } from '../proc.ts'
import { openStage, type Stage } from '../stage.ts'
import { type Figures, round } from '../statistics.ts'

const BYTES = 2 ** 30
const SAMPLE_MS = 25
const MB = 1e6
const run = promisify(execFile)

/** What others, and the run before, have left to be written would be written at our expense. */
const writeAllOut = (stage: Stage) => run('sync', ['-f', stage.dir], { timeout: 120_000 })

/** curl's own time for the file, and with an fsync behind it. */
export async function bigByCurl(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await writeAllOut(stage)
  const target = path.join(stage.dir, 'curl')
  const args = ['-sS', '--fail', '-o', target, '-w', '%{time_total}', stage.file(scaled(BYTES, context))]
  const { stdout } = await run('curl', args, { timeout: deadlineMs(1) })
  const begin = performance.now()
  const file = await open(target)
  await file.sync()
  await file.close()
  await rm(target)
  const fsyncS = (performance.now() - begin) / 1000
  return { transfer_s: round(Number(stdout), 3), end_to_end_s: round(Number(stdout) + fsyncS, 3) }
}

/** The same file as a job: the transfer as the origin saw it, and the whole from the POST to the callback. */
export async function big(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startDownloader(stage)
  const job = (bytes: number) => ({ aggr_id: 'big', aggr_limit: 1, url: stage.file(bytes) })
  const once = async (bytes: number) => {
    await stage.begin()
    const [[, postedMs] = ['', 0]] = await post(stage, service, { jobs: 1, aggregations: 1, job: job(bytes) })
    await stage.receiver.ask.reached(1, deadlineMs(1))
    const [[id, calledMs] = ['', 0]] = await stage.receiver.ask.report()
    if (id.endsWith(' failed')) throw new Error('the download failed')
    return calledMs - postedMs
  }
  await once(1) // all code is loaded
  await writeAllOut(stage)
  const [, pid = 0] = service.processes().find(([role]) => role === 'processor') ?? []
  const rss = sampling(SAMPLE_MS, () => rssBytes(pid))
  const endToEndMs = await once(scaled(BYTES, context))
  const samples = rss.stop()
  await rm(path.join(stage.dir, 'files'), { recursive: true })
  const { openMs } = await stage.origin.ask.report()
  const half = Math.ceil(samples.length / 2)
  return {
    transfer_s: round(openMs / 1000, 3),
    end_to_end_s: round(endToEndMs / 1000, 3),
    rss_before_mb: round((samples[0] ?? 0) / MB, 0),
    rss_peak_mb: round(Math.max(...samples) / MB, 0),
    // how much higher the second half of the time reached than the first
    rss_growth_mb: round((Math.max(...samples.slice(half)) - Math.max(...samples.slice(0, half))) / MB, 0),
  }
}
