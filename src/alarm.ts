/** Lets one loop sleep until something happens, or until it is time. */
export interface Alarm {
  /** Ends the sleep, or the next one if nobody sleeps. */
  ring(): void
  sleep(ms: number): Promise<void>
}

export function alarm(): Alarm {
  let rung = false
  let wake: (() => void) | undefined
  return {
    ring() {
      rung = true
      wake?.()
    },
    sleep(ms) {
      return new Promise((resolve) => {
        const done = () => {
          clearTimeout(timer)
          wake = undefined
          rung = false
          resolve()
        }
        if (rung) {
          rung = false
          return resolve()
        }
        const timer = setTimeout(done, ms)
        wake = done
      })
    },
  }
}
