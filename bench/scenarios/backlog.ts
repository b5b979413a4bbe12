import { pino } from 'pino'
import { downloadsRoom } from '../../src/jobs/places.ts'
import { keysOf } from '../../src/queue/keys.ts'
import { queueOf } from '../../src/queue/queue.ts'
import { type Client, connect } from '../../src/queue/redis.ts'
import { roomOf } from '../../src/queue/room.ts'
import { openStage, type Stage } from '../stage.ts'
import { quantile, round } from '../statistics.ts'

const GROUPS = 10_000
const DRAINED = 20_000
const AT_ONCE = 1000
const never = new AbortController().signal

/** So many jobs wait in 10,000 aggregations; then the workers start, and the first 20,000 are watched. */
export async function backlog(jobs: number) {
  await using stage = await openStage({}, true)
  const log = pino({ level: 'warn' })
  const where = { addr: stage.redis.addr, key_prefix: 'downloader' }
  const [redis, subscriber] = [connect(where, 'patient', log), connect(where, 'patient', log)]
  try {
    const bytesBefore = await stage.redisBytes()
    await load(stage, redis, jobs)
    const bytes = (await stage.redisBytes()) - bytesBefore
    await stage.addWorkers()
    stage.begin()
    const begin = performance.now()
    const claims = claiming(redis, subscriber)
    await stage.count(DRAINED)
    const ms = performance.now() - begin
    const claimMs = await claims.stop()
    return {
      jobs,
      bytes_per_job: round(bytes / jobs, 0),
      drained_per_s: round((DRAINED / ms) * 1000, 0),
      claim_p50_ms: round(quantile(claimMs, 0.5)),
      claim_p99_ms: round(quantile(claimMs, 0.99)),
      processor_rss_mb: round((stage.rss().processor ?? 0) / 1e6, 0),
      processor_files: stage.files().processor ?? 0,
    }
  } finally {
    redis.disconnect()
    subscriber.disconnect()
  }
}

async function load(stage: Stage, redis: Client, jobs: number): Promise<void> {
  const queue = queueOf(redis, keysOf('downloader'))
  for (let i = 0; i < jobs; i += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, jobs - i) }, (_, k) =>
      queue.add({
        aggrId: `aggregation-${(i + k) % GROUPS}`,
        aggrLimit: 20,
        url: `${stage.origin}/0`,
        callbackType: 'http',
        callbackDst: stage.receiver,
      }),
    )
    await Promise.all(batch)
  }
}

/** Claims a job fifty times a second and hands it back, which tells what a claim takes among all others. */
function claiming(redis: Client, subscriber: Client) {
  const options = { name: downloadsRoom, leaseMs: 30_000, groupLimit: 0 }
  const room = roomOf(redis, subscriber, keysOf('downloader'), options, pino({ level: 'warn' }))
  const ms: number[] = []
  let stopped = false
  const running = (async () => {
    while (!stopped) {
      const begin = performance.now()
      const { claims } = await room.claim(1, never)
      ms.push(performance.now() - begin)
      for (const claim of claims) await room.settle(claim, { place: { kind: 'back' }, patch: {} }, never)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  })()
  return {
    async stop() {
      stopped = true
      await running
      return ms
    },
  }
}
