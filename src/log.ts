import { type Logger, pino } from 'pino'
import { printable } from './printable.ts'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>

/** The log of a whole process: what is said in it may change while it runs. */
export interface ProcessLog extends Log {
  /** What is said from now on. */
  setLevel(level: string): void
  /** Each call switches between everything (`debug`) and what was said before. */
  toggleDebug(): void
}

/** JSON lines on standard error: standard output belongs to the commands that print something. */
export function newLog(role: string, level = 'info'): ProcessLog {
  const options = {
    level,
    base: { role, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: loggedError },
  }
  const out = pino.destination({ fd: 2, sync: true })
  // JSON itself escapes no more than ASCII's control characters; the line's own end is no part of it.
  const log = pino(options, { write: (line: string) => out.write(`${printable(line.slice(0, -1))}\n`) })
  let usual = level
  return Object.assign(log, {
    setLevel(level: string) {
      usual = level
      log.level = level
    },
    toggleDebug() {
      const next = log.level !== 'debug' ? 'debug' : usual === 'debug' ? 'info' : usual
      if (next === 'debug') log.level = next
      log.info({ log_level: next }, 'the log level changes')
      log.level = next
    },
  })
}

const MAX_CAUSES = 4

/**
 * What of an error may be logged: not what libraries hang on it besides, such as a command with its arguments (ioredis)
 * or the text that is no URL (Node).
 */
export function loggedError(error: unknown, causes = MAX_CAUSES): unknown {
  if (!(error instanceof Error)) return String(error)
  const { name: type, message, stack, cause } = error
  return {
    type,
    message,
    stack,
    ...('code' in error && { code: String(error.code) }),
    ...(cause !== undefined && causes > 0 && { cause: loggedError(cause, causes - 1) }),
  }
}
