import { setTimeout as delay } from 'node:timers/promises'
import { nowMs } from './clock.ts'
import type { Injected, World } from './faults/fault.ts'
import { randomOf } from './random.ts'
import type { Planned } from './schedule.ts'

/**
 * Does what the schedule says. What takes longer than planned moves what comes after it in its lane, or to its target.
 *
 * @param say called when a fault begins and when it is over
 */
export async function inject(
  world: World,
  schedule: readonly Planned[],
  seed: string,
  say: (text: string) => void,
): Promise<Injected[]> {
  const startMs = nowMs()
  const injected: Injected[] = []
  const chains = new Map<string, Promise<void>>()

  async function one({ atMs, forMs, fault, target }: Planned, i: number): Promise<void> {
    await delay(Math.max(0, startMs + atMs - nowMs()))
    const record: Injected = { fault, target, fromMs: nowMs(), toMs: Number.POSITIVE_INFINITY }
    injected.push(record)
    say(`${fault.name} ${target}`)
    await fault.begin(world, target, randomOf(`${seed} fault ${i}`))
    await delay(forMs)
    record.toMs = nowMs()
    await fault.end(world, target)
    say(`${fault.name} ${target} is over`)
    await delay(fault.restMs)
  }

  const all = schedule.map((planned, i) => {
    const links = [`lane ${planned.lane}`, `target ${planned.target}`]
    const done = Promise.all(links.map((link) => chains.get(link))).then(() => one(planned, i))
    for (const link of links) chains.set(link, done)
    return done
  })
  await Promise.all(all)
  return injected
}
