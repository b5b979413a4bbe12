import { setTimeout as delay } from 'node:timers/promises'
import { startDownloader } from '../downloader.ts'
import type { commands as originCommands } from '../helpers/limited-origin.ts'
import { type Context, post, scaled, warmUp } from '../load.ts'
import { startHelper } from '../remote.ts'
import { openStage } from '../stage.ts'
import { type Figures, round } from '../statistics.ts'

const SECONDS = 120
const LEARNING_S = 60
const PROCESSORS = 3
/** The healthy origin takes so long, and each of its two aggregations may ask it so often at once. */
const DELAY_MS = 200
const AT_ONCE = 20
const AGGREGATIONS = 2

/**
 * An origin whose limit nobody knows, and a healthy one beside it: in one aggregation with it, and in another. There are
 * more jobs than can be done; what was done after two minutes is counted.
 *
 * @param perSecond the limit; 0: only the healthy one is asked
 * @param told the limit is not the origin's, but the rate of its aggregations: as much work, and nothing to be learnt
 */
export async function politeness(context: Context, perSecond: number, told = false): Promise<Figures> {
  await using stage = await openStage()
  await using limited = await startHelper<typeof originCommands>('helpers/limited-origin.ts')
  const limitedUrl = await limited.ask.listen(told ? 10 * perSecond : Math.max(1, perSecond))
  await using service = await startDownloader(stage, { processors: PROCESSORS })
  await warmUp(stage, service, context)

  const seconds = scaled(SECONDS, context)
  const learning = scaled(LEARNING_S, context)
  const healthy = { aggr_id: 'pictures', aggr_limit: AT_ONCE, url: stage.file(1024, DELAY_MS) }
  const healthyJobs = Math.ceil(seconds * 1.2 * AGGREGATIONS * AT_ONCE * (1000 / DELAY_MS))
  const rate = told && { aggr_rate: perSecond / 2 } // of each of its own two aggregations
  const slow = { aggr_limit: AT_ONCE, url: `${limitedUrl}/file`, max_retries: 0, ...rate }
  const jobs = Math.ceil(perSecond * seconds * 1.2)

  await stage.begin()
  // posted in turn, some seconds' worth at a time: the jobs of both origins lie mixed
  const few = 10
  const postAll = async () => {
    for (let i = 0; i < few; i++) {
      await post(stage, service, { jobs: Math.ceil(healthyJobs / few), aggregations: AGGREGATIONS, job: healthy })
      if (jobs === 0) continue
      // in one of the healthy origin's aggregations, and enough in others that there are always some that could start
      const among = Math.ceil(jobs / few / 4)
      if (!told) await post(stage, service, { jobs: among, aggregations: 1, job: { ...slow, aggr_id: 'pictures' } })
      await post(stage, service, { jobs: Math.ceil(jobs / few), aggregations: 2, job: { ...slow, aggr_id: 'others' } })
    }
  }
  await limited.ask.begin()
  const posted = postAll()
  await delay(seconds * 1000)
  const { taken, refused } = await limited.ask.report(seconds)
  const { requests } = await stage.origin.ask.report()
  const callbacks = await stage.receiver.ask.report()
  await posted

  const sum = (counts: number[], from = 0) => counts.slice(from).reduce((all, count) => all + count, 0)
  const share = (from: number, to?: number) => {
    const [bad, good] = [sum(refused.slice(0, to), from), sum(taken.slice(0, to), from)]
    return round((100 * bad) / Math.max(1, bad + good))
  }
  const [, beganMs = 0] = requests[0] ?? []
  const later = requests.filter(([, atMs]) => atMs - beganMs > learning * 1000)
  const figures: Figures = {
    healthy_per_s: round(requests.length / seconds, 1),
    'healthy_per_s learned': round(later.length / (seconds - learning), 1),
  }
  if (perSecond === 0) return figures
  return {
    ...figures,
    limit_per_s: perSecond,
    goodput_percent: round((100 * sum(taken)) / (perSecond * seconds), 1),
    'goodput_percent learned': round((100 * sum(taken, learning)) / (perSecond * (seconds - learning)), 1),
    'refused_percent learning': share(0, learning),
    'refused_percent learned': share(learning),
    failed: callbacks.filter(([id]) => id.endsWith(' failed')).length,
  }
}
