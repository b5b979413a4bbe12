import { openStage } from '../stage.ts'
import { round } from '../statistics.ts'

const LIMIT = 10
const DELAY_MS = 100
const JOBS = 1500

/** Three processors on one aggregation whose origin takes 100 ms: how much of the limit is used, and whether it holds. */
export async function cap() {
  await using stage = await openStage({ processors: 3 })
  const job = { aggr_id: 'capped', aggr_limit: LIMIT, url: `${stage.origin}/${DELAY_MS}` }
  await Promise.all(Array.from({ length: 50 }, () => stage.enqueue(job)))
  await stage.count(50)
  stage.begin()
  const begin = performance.now()
  await Promise.all(Array.from({ length: JOBS }, () => stage.enqueue(job)))
  await stage.count(JOBS)
  const ms = performance.now() - begin
  const { maxOpen, openMs } = await stage.report()
  return {
    limit: LIMIT,
    most_at_once: maxOpen,
    // requests open at the origin on average, first POST to last callback
    used_percent: round((openMs / ms / LIMIT) * 100, 1),
  }
}
