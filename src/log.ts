import { type Logger, pino } from 'pino'
import { printable } from './printable.ts'

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error' | 'fatal'>

/** JSON lines on standard error: standard output belongs to the commands that print something. */
export function newLog(role: string, level = 'info'): Log {
  const options = {
    level,
    base: { role, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: loggedError },
  }
  const out = pino.destination({ fd: 2, sync: true })
  // JSON itself escapes no more than ASCII's control characters; the line's own end is no part of it.
  return pino(options, { write: (line: string) => out.write(`${printable(line.slice(0, -1))}\n`) })
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

/** A URL as it may be logged or shown: no user, no password, no query, no fragment. */
export function redactedUrl(text: string): string {
  try {
    const url = new URL(text)
    return `${url.protocol}//${url.host}${url.pathname}${url.search ? '?…' : ''}`
  } catch {
    return '(not a URL)'
  }
}
