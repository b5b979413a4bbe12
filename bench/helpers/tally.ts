import { now } from '../clock.ts'

/** Notes what comes and when, and lets others wait for so many. */
export function tally() {
  let entries: [name: string, atMs: number][] = []
  const waiting = new Set<() => void>()

  return {
    add(name: string): void {
      entries.push([name, now()])
      for (const look of waiting) look()
    },
    clear(): void {
      entries = []
    },
    entries: () => entries,

    /** @throws when fewer than `n` came within `withinMs` */
    reached(n: number, withinMs: number): Promise<void> {
      return new Promise((resolve, reject) => {
        const end = (settle: () => void) => {
          waiting.delete(look)
          clearTimeout(timer)
          settle()
        }
        const look = () => {
          if (entries.length >= n) end(resolve)
        }
        const late = () => end(() => reject(new Error(`${entries.length} of ${n} came within ${withinMs} ms`)))
        const timer = setTimeout(late, withinMs)
        waiting.add(look)
        look()
      })
    },
  }
}
