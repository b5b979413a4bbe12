import { connect, type Socket } from 'node:net'
import type { ResolvedAddress } from './resolver.ts'

export interface FirstConnectedOptions {
  /** Judged already: each of them may be connected to. At least one, the most wanted first. */
  addresses: readonly ResolvedAddress[]
  port: number
  /** Called once, unless it is destroyed before. */
  callback: (result: Socket | Error) => void
}

/** RFC 8305, section 5: the recommended delay between two attempts. */
const attemptDelayMs = 250
/** Names with more addresses than this have enough others. */
const mostAttempts = 16
/** What undici's own connector sets. */
const settings = { highWaterMark: 64 * 1024, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

/**
 * Connects to the first of several addresses that answers (Happy Eyeballs, RFC 8305). Each gets a head start before the
 * next, and is not given up on when its time is over, as `autoSelectFamily` of Node does: a connection whose first packet
 * was lost takes more than a second, and it may be the only one that there is.
 *
 * @returns what gives up: nobody is called back after that
 */
export function firstConnected({ addresses, port, callback }: FirstConnectedOptions): { destroy(): void } {
  const waiting = byTurns(addresses).slice(0, mostAttempts)
  const trying = new Set<Socket>()
  const failures: Error[] = []
  let timer: NodeJS.Timeout | undefined

  function tryNext(): void {
    clearTimeout(timer)
    const next = waiting.shift()
    if (next === undefined) return
    const socket = connect({ ...settings, host: next.address, family: next.family, port })
    trying.add(socket)
    socket.once('connect', () => {
      trying.delete(socket)
      stop()
      callback(socket)
    })
    socket.on('error', (error) => failed(socket, error)) // stays: a socket without a listener would end the process
    if (waiting.length > 0) timer = setTimeout(tryNext, attemptDelayMs)
  }

  function failed(socket: Socket, error: Error): void {
    if (!trying.delete(socket)) return
    failures.push(error)
    if (waiting.length > 0) tryNext()
    else if (trying.size === 0) callback(mostTelling(failures) ?? error)
  }

  function stop(): void {
    clearTimeout(timer)
    waiting.length = 0
    for (const socket of trying) socket.destroy()
    trying.clear()
  }

  tryNext()
  return { destroy: stop }
}

/** RFC 8305, section 4: the families take turns, so that one that does not work holds up nothing for long. */
export function byTurns(addresses: readonly ResolvedAddress[]): ResolvedAddress[] {
  const [first] = addresses
  const preferred = addresses.filter(({ family }) => family === first?.family)
  const others = addresses.filter(({ family }) => family !== first?.family)
  return preferred.flatMap((address, i) => [address, ...others.slice(i, i + 1)]).concat(others.slice(preferred.length))
}

/** Most hosts without IPv6 say so at once: that is not why the connection failed. */
const ofNoRoute = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

function mostTelling(failures: readonly Error[]): Error | undefined {
  const tells = (error: Error) => !('code' in error && ofNoRoute.has(String(error.code)))
  return failures.find(tells) ?? failures[0]
}
