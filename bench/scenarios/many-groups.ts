import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import { downloadsRoom } from '../../src/jobs/places.ts'
import { keysOf } from '../../src/queue/keys.ts'
import { queueOf } from '../../src/queue/queue.ts'
import { connect } from '../../src/queue/redis.ts'
import { roomOf } from '../../src/queue/room.ts'
import { openStage } from '../stage.ts'
import { quantile, round } from '../statistics.ts'

const GROUPS = 10_000
const JOBS = 100
const IDLE_MS = 10_000
const never = new AbortController().signal

/** 10,000 groups that are full, with jobs pending; then, on the idle service, one job at a time of a group that is not. */
export async function manyGroups() {
  await using stage = await openStage()
  const log = pino({ level: 'warn' })
  const where = { addr: stage.redis.addr, key_prefix: 'downloader' }
  const [redis, subscriber] = [connect(where, 'patient', log), connect(where, 'patient', log)]
  try {
    const keys = keysOf('downloader')
    const queue = queueOf(redis, keys)
    const options = { name: downloadsRoom, leaseMs: 3_600_000, groupLimit: 0 }
    const room = roomOf(redis, subscriber, keys, options, log)
    for (let i = 0; i < GROUPS; i += 500) {
      // held by a worker that never ends, before the processor can have them
      const group = (k: number) => ({ aggrId: `full-${i + k}`, aggrLimit: 1, url: `${stage.origin}/3600000` })
      for (let k = 0; k < 500; k++) await queue.adjust(downloadsRoom, `full-${i + k}`, { paused: true })
      await Promise.all(Array.from({ length: 1000 }, (_, k) => queue.add(group(k % 500))))
    }
    await room.claim(0, never)

    await delay(1000)
    const before = await stage.redisCalls()
    await delay(IDLE_MS)
    const idle = (await stage.redisCalls()).commands - before.commands - 1

    const wakeMs: number[] = []
    for (let i = 0; i < JOBS; i++) {
      const id = await stage.enqueue({ aggr_id: 'free', aggr_limit: 1, url: `${stage.origin}/0` })
      const accepted = performance.timeOrigin + performance.now()
      await stage.called(id)
      wakeMs.push(Math.max(0, (await stage.report()).lastRequestMs - accepted))
      await delay(20)
    }
    return {
      groups: GROUPS,
      wake_p50_ms: round(quantile(wakeMs, 0.5)),
      wake_p99_ms: round(quantile(wakeMs, 0.99)),
      // the API, the processor and the notifier
      idle_commands_per_s_and_process: round(idle / (IDLE_MS / 1000) / 3),
    }
  } finally {
    redis.disconnect()
    subscriber.disconnect()
  }
}
