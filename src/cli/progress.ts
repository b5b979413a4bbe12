const WIDTH = 30
const REDRAW_MS = 100

/** One line that is drawn over and over; does nothing where there is no terminal. */
export interface Progress {
  draw(done: number, total: number, failed: number): void
  /** Takes the line away, so that others can be printed. */
  clear(): void
}

export function progress(terminal: Pick<NodeJS.WriteStream, 'write'> | undefined): Progress {
  const begunMs = performance.now()
  let drawnMs = Number.NEGATIVE_INFINITY
  return {
    draw(done, total, failed) {
      const nowMs = performance.now()
      if (!terminal || (nowMs - drawnMs < REDRAW_MS && done < total)) return
      drawnMs = nowMs
      const full = total === 0 ? 0 : Math.floor((WIDTH * done) / total)
      const rate = done / Math.max((nowMs - begunMs) / 1000, 0.001)
      const bar = `${'█'.repeat(full)}${'░'.repeat(WIDTH - full)}`
      terminal.write(`\r\x1b[K${bar} ${done} of ${total}, ${failed} failed, ${rate.toFixed(1)}/s`)
    },
    clear() {
      if (drawnMs > 0) terminal?.write('\r\x1b[K')
      drawnMs = Number.NEGATIVE_INFINITY
    },
  }
}
