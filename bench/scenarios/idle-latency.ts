import { openStage } from '../stage.ts'
import { quantile, round } from '../statistics.ts'

const JOBS = 300
const WARM_UP = 50

/** One job at a time on an idle system: from the POST to the callback, in ms. */
export async function idleLatency() {
  await using stage = await openStage()
  const ms: number[] = []
  for (let i = 0; i < JOBS + WARM_UP; i++) {
    const begin = performance.timeOrigin + performance.now()
    const id = await stage.enqueue({ aggr_id: 'idle', aggr_limit: 4, url: `${stage.origin}/0` })
    const end = await stage.called(id)
    if (i >= WARM_UP) ms.push(end - begin)
  }
  return { p50_ms: round(quantile(ms, 0.5)), p95_ms: round(quantile(ms, 0.95)), p99_ms: round(quantile(ms, 0.99)) }
}
