import type { Log } from './log.ts'
import type { Instances, Stats } from './queue/instances.ts'

/** Reports a process's counters every `everyMs` until it is closed; then the process counts as gone. */
export function reporting(
  instances: Pick<Instances, 'report' | 'retire'>,
  instance: string,
  snapshot: () => Stats,
  everyMs: number,
  log: Log,
) {
  let underWay = false
  const report = async () => {
    if (underWay) return
    underWay = true
    try {
      await instances.report(instance, snapshot(), everyMs)
    } catch (error) {
      log.debug({ error: String(error) }, 'could not report the counters')
    } finally {
      underWay = false
    }
  }
  void report()
  const timer = setInterval(() => void report(), everyMs)
  return {
    async close(): Promise<void> {
      clearInterval(timer)
      await instances.retire(instance).catch(() => {})
    },
  }
}
