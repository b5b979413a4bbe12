import { setTimeout as delay } from 'node:timers/promises'
import { startDownloader } from '../downloader.ts'
import { type Context, deadlineMs, post, scaled, warmUp } from '../load.ts'
import { startBullmq } from '../rivals/bullmq.ts'
import { openStage, type Service, type Stage } from '../stage.ts'
import { type Figures, spread } from '../statistics.ts'
import { FILE_BYTES } from './throughput.ts'

const JOBS = 300
/** Between jobs, so that nothing of the last one is still under way. */
const PAUSE_MS = 10

/** One job at a time: from the POST to the callback. */
async function oneByOne(stage: Stage, service: Service, context: Context): Promise<Figures> {
  const ms: number[] = []
  const job = { aggr_id: 'idle', aggr_limit: 4, url: stage.file(FILE_BYTES) }
  await warmUp(stage, service, context)
  for (let i = scaled(JOBS, context); i > 0; i--) {
    await stage.begin()
    const [[, postedMs] = ['', 0]] = await post(stage, service, { jobs: 1, aggregations: 1, job })
    await stage.receiver.ask.reached(1, deadlineMs(1))
    const [[, calledMs] = ['', 0]] = await stage.receiver.ask.report()
    ms.push(calledMs - postedMs)
    await delay(PAUSE_MS)
  }
  return spread(ms)
}

export async function idleLatency(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startDownloader(stage)
  return await oneByOne(stage, service, context)
}

export async function idleLatencyOfBullmq(context: Context): Promise<Figures> {
  await using stage = await openStage()
  await using service = await startBullmq(stage)
  return await oneByOne(stage, service, context)
}
