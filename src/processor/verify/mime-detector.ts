import type { Log } from '../../log.ts'
import { confined } from './confined.ts'
import { detectMime } from './mime.ts'

export interface MimeDetector {
  /** See `detectMime`. */
  detect(head: Uint8Array, complete: boolean): Promise<string>
  close(): Promise<void>
}

/** file-type answers within 10 ms at the worst that was found; the rest is for a busy machine. */
const LIMIT_MS = 5000
const LIMIT_MB = 64

/**
 * Detects types. What is common, and cheap to recognize, is found at once; the rest is left to file-type, whose
 * parsers unpack archives and follow offsets: in a thread of its own, which is stopped when it takes too long.
 */
export function mimeDetector(log: Pick<Log, 'warn'>): MimeDetector {
  const fileType = confined<string>({
    module: new URL('./file-type-thread.mjs', import.meta.url),
    limitMs: LIMIT_MS,
    limitMb: LIMIT_MB,
    onStopped: (reason) => log.warn({ reason }, 'a thread that looks at types was stopped'),
  })
  return {
    detect: (head, complete) => detectMime(head, complete, fileType.ask),
    close: fileType.close,
  }
}
