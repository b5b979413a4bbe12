import { Counter, Gauge } from 'prom-client'
import type { Metrics } from './metrics.ts'

/** How often we look how late a timer of ours is. */
const LAG_EVERY_MS = 200
const PING_EVERY_MS = 1000

/** How a process is: its CPU, its memory, how late its timers are, how fast Redis answers it. Looks until it is closed. */
export function processMetrics(metrics: Metrics, ping: () => Promise<unknown>) {
  const registers = [metrics.registry]
  const startS = Date.now() / 1000 - process.uptime()
  new Gauge({
    name: 'process_start_time_seconds',
    help: 'When the process began, in seconds since the epoch',
    registers,
    collect() {
      this.set(startS)
    },
  })
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the process',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU that the process has used',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / 1e6)
    },
  })

  const lag = metrics.histogram(
    'event_loop_lag_seconds',
    'How late a timer is that is due five times a second: for so long the process did something else',
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  )
  let due = performance.now() + LAG_EVERY_MS
  const lagging = setInterval(() => {
    const now = performance.now()
    lag.observe(Math.max(0, now - due) / 1000)
    due = now + LAG_EVERY_MS
  }, LAG_EVERY_MS)

  const latency = metrics.histogram(
    'redis_latency_seconds',
    'How long Redis takes to answer a PING, asked once a second',
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  )
  let askedAt: number | undefined
  let asking = false
  metrics.gaugeOf('redis_silence_seconds', 'For how long Redis owes an answer to a PING; 0: it owes none', () =>
    askedAt === undefined ? 0 : (performance.now() - askedAt) / 1000,
  )
  const ask = async () => {
    if (asking) return
    askedAt ??= performance.now()
    asking = true
    try {
      await ping()
      latency.observe((performance.now() - askedAt) / 1000)
      askedAt = undefined
    } catch {
      // it stays asked: the silence goes on
    } finally {
      asking = false
    }
  }
  const pinging = setInterval(() => void ask(), PING_EVERY_MS)
  void ask()

  return {
    close() {
      clearInterval(lagging)
      clearInterval(pinging)
    },
  }
}
