import { statfs } from 'node:fs/promises'
import type { Log } from '../log.ts'

export interface DiskGuardOptions {
  /** Folders on the disks to watch. */
  dirs: string[]
  /** % used at which downloading stops. */
  high: number
  /** % used at which it starts again. */
  low: number
  log: Log
}

const LOOK_EVERY_MS = 1000

/** Says whether the disks have room; looks by itself until it is closed. */
export function diskGuard({ dirs, high, low, log }: DiskGuardOptions) {
  let full = false
  let usedPercent = 0

  async function look() {
    const used = Math.max(...(await Promise.all(dirs.map(percentUsed))))
    usedPercent = used
    if (!full && used >= high) {
      full = true
      log.error(
        { used_percent: Math.round(used), disk_high: high },
        'the disk is nearly full: no downloads are started',
      )
    } else if (full && used <= low) {
      full = false
      log.info({ used_percent: Math.round(used), disk_low: low }, 'the disk has room again')
    }
  }

  const timer = setInterval(() => void look().catch(() => {}), LOOK_EVERY_MS)
  return {
    look,
    hasRoom: () => !full,
    /** Of the fullest disk, 0 to 1. */
    usedRatio: () => usedPercent / 100,
    close: () => clearInterval(timer),
  }
}

export type DiskGuard = ReturnType<typeof diskGuard>

/** As df counts: blocks reserved for root are neither used nor available. A folder that cannot be asked is not full. */
async function percentUsed(dir: string): Promise<number> {
  try {
    const { blocks, bfree, bavail } = await statfs(dir)
    const used = blocks - bfree
    return used + bavail > 0 ? (used / (used + bavail)) * 100 : 0
  } catch {
    return 0
  }
}
