import type { DownloadRequest } from '../../src/jobs/job.ts'
import { startDownloader } from '../downloader.ts'
import { type Context, deadlineMs, scaled } from '../load.ts'
import { openFiles, rssBytes, sampling } from '../proc.ts'
import { addMany, type Inside, never, openQueue } from '../queue.ts'
import { openStage, type Stage } from '../stage.ts'
import { type Figures, quantile, round } from '../statistics.ts'
import { FILE_BYTES } from './throughput.ts'

const DRAINED = 20_000
const PROBES = 1000
const EXPLAINED_EVERY = 97
const MOST_EXPLAINED = 500
const SAMPLE_MS = 100
const CONCURRENCY = 256

/**
 * So many jobs wait in so many aggregations when the workers start; the first 20,000 are watched. They come in through
 * the room's own `add`, and are as large as those of a client that says all that it can.
 */
export async function backlog(context: Context, jobs: number, aggregations: number): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startDownloader(stage, { processors: 0, notifiers: 0, concurrency: CONCURRENCY })
  await using inside = openQueue(stage)
  const add = adding(stage, inside, aggregations)
  await add(0) // scripts and connections are there before the first look
  const count = scaled(jobs, context)
  const bytesBefore = await stage.redisBytes()
  await addMany(count, add)
  const bytes = (await stage.redisBytes()) - bytesBefore
  const claimMs = await claiming(inside, scaled(PROBES, context))
  const whyMs = await atWork(inside, () => explaining(service.url, add.ids))

  const drained = scaled(DRAINED, context)
  await service.add('notifier')
  await stage.begin()
  await service.add('processor')
  const [, pid = 0] = service.processes().find(([role]) => role === 'processor') ?? []
  const rss = sampling(SAMPLE_MS, () => rssBytes(pid))
  const files = sampling(SAMPLE_MS, () => openFiles(pid))
  await stage.receiver.ask.reached(drained, deadlineMs(drained))
  const [rssMost, filesMost] = [Math.max(...rss.stop()), Math.max(...files.stop())]

  const [, beginMs = 0] = (await stage.origin.ask.report()).requests[0] ?? []
  const [, endMs = 0] = (await stage.receiver.ask.report())[drained - 1] ?? []
  return {
    redis_bytes_per_job: round(bytes / count, 0),
    claim_p50_ms: round(quantile(claimMs, 0.5), 3),
    claim_p99_ms: round(quantile(claimMs, 0.99), 3),
    why_p50_ms: round(quantile(whyMs, 0.5), 2),
    why_p99_ms: round(quantile(whyMs, 0.99), 2),
    drained_per_s: round((drained / (endMs - beginMs)) * 1000, 0),
    'processor rss_peak_mb': round(rssMost / 1e6, 0),
    'processor open_files_peak': filesMost,
    'processor open_files_peak / concurrency': round(filesMost / CONCURRENCY),
  }
}

/** `ids`: of some of the jobs, from everywhere in the queue. */
function adding(stage: Stage, { queue }: Inside, aggregations: number) {
  const ids: string[] = []
  const add = async (i: number) => {
    const id = await queue.add(requestOf(stage, i, aggregations))
    if (i % EXPLAINED_EVERY === 0) ids.push(id)
  }
  return Object.assign(add, { ids })
}

const requestOf = (stage: Stage, i: number, aggregations: number): DownloadRequest => ({
  aggrId: `aggregation-${i % aggregations}`,
  aggrLimit: 8,
  url: `${stage.file(FILE_BYTES)}/catalogue/2024/products/${String(i).padStart(8, '0')}.txt`,
  callbackType: 'http',
  callbackDst: `${stage.receiverUrl}/downloads/notify`,
  extra: `{"product_id":${i},"position":1}`,
  mimeType: '!image/vnd.adobe.photoshop,text/*',
  maxRetries: 3,
  extractImageSize: false,
  downloadTimeoutS: 60,
  requestHeaders: { Accept: 'image/png,image/jpeg,image/*,*/*', 'User-Agent': 'Downloader-Agent' },
})

/** Meanwhile a worker is alive, and as many jobs run as their aggregations let it start. */
async function atWork<T>({ downloads }: Inside, run: () => Promise<T>): Promise<T> {
  const { claims } = await downloads.claim(1000, never)
  const result = await run()
  for (const claim of claims) await downloads.settle(claim, { place: { kind: 'back' }, patch: {} }, never)
  return result
}

/** Asks the API why jobs wait, one after the other. */
async function explaining(url: string, ids: string[]): Promise<number[]> {
  const every = Math.max(1, Math.floor(ids.length / MOST_EXPLAINED))
  const ms: number[] = []
  for (const id of ids.filter((_, i) => i % every === 0)) {
    const begin = performance.now()
    const response = await fetch(new URL(`/jobs/${id}/why`, url))
    if (!response.ok) throw new Error(`why: ${response.status} ${await response.text()}`)
    await response.arrayBuffer()
    ms.push(performance.now() - begin)
  }
  return ms
}

/** Claims one job at a time and puts it back: how long a claim takes when nothing else is asked of Redis. */
async function claiming({ downloads }: Inside, probes: number): Promise<number[]> {
  const ms: number[] = []
  for (let i = 0; i < probes; i++) {
    const begin = performance.now()
    const { claims } = await downloads.claim(1, never)
    ms.push(performance.now() - begin)
    for (const claim of claims) await downloads.settle(claim, { place: { kind: 'back' }, patch: {} }, never)
  }
  return ms
}
