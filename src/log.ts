import { type Logger, pino } from 'pino'
import { z } from 'zod'
import { printable } from './printable.ts'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>

/** The log of a whole process: what is said in it may change while it runs. */
export interface ProcessLog extends Log {
  /** What is said from now on. */
  setLevel(level: string): void
  /** Each call switches between everything (`debug`) and what was said before. */
  toggleDebug(): void
}

export const LogConfig = z.strictObject({
  /** The variable `LOG_LEVEL` wins; without either, `info`. */
  level: z.enum(['debug', 'info', 'warn', 'error', 'fatal', 'silent']).optional(),
  /** Whether the lines of attempts have the queries of URLs, which are often signatures that open files to everybody. */
  url_queries: z.boolean().default(false),
})

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

/** A URL as it may be logged or shown: no user, no password, no fragment, and no query unless that is asked for. */
export function redactedUrl(text: string, withQuery = false): string {
  try {
    const url = new URL(text)
    return `${url.protocol}//${url.host}${url.pathname}${withQuery ? url.search : url.search ? '?…' : ''}`
  } catch {
    return '(not a URL)'
  }
}

/** The host of a URL, with its port where that is not the usual one: as logs and counters name it. `""` where it is none. */
export const hostNamed = (url: string): string => (URL.canParse(url) ? new URL(url).host : '')
