import { startDownloader } from '../downloader.ts'
import { type Context, deadlineMs, scaled } from '../load.ts'
import { openFiles, rssBytes, sampling } from '../proc.ts'
import { addMany, type Inside, never, openQueue } from '../queue.ts'
import { openStage, type Stage } from '../stage.ts'
import { type Figures, quantile, round } from '../statistics.ts'
import { FILE_BYTES } from './throughput.ts'

const DRAINED = 20_000
const PROBES = 1000
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
    drained_per_s: round((drained / (endMs - beginMs)) * 1000, 0),
    'processor rss_peak_mb': round(rssMost / 1e6, 0),
    'processor open_files_peak': filesMost,
    'processor open_files_peak / concurrency': round(filesMost / CONCURRENCY),
  }
}

const adding =
  (stage: Stage, { queue }: Inside, aggregations: number) =>
  (i: number) =>
    queue.add({
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
