import { isIP, type Socket } from 'node:net'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import { JobError } from '../jobs/errors.ts'
import type { AddressGuard } from './address-guard.ts'
import { firstConnected } from './first-connected.ts'
import { addressRefusal, portOf, portRefusal } from './refusals.ts'
import type { ResolvedAddress, Resolver } from './resolver.ts'

export interface ConnectorOptions {
  guard: AddressGuard
  resolver: Resolver
  /** For the name, the connection and the TLS handshake together. */
  connectTimeoutMs: number
  /** PEM certificates to trust beside Node's own. */
  ca?: string | undefined
}

/** How long the steps of making a connection took, in ms. */
export interface ConnectTimings {
  dns: number
  connect: number
  tls: number
}

export const noTimings = (): ConnectTimings => ({ dns: 0, connect: 0, tls: 0 })

/**
 * A connector for undici that returns what is connecting: destroying it gives up, and then nobody is called back.
 *
 * @param timings filled in as it goes: they also tell how far a failure came
 */
export type GuardedConnector = (
  target: buildConnector.Options,
  callback: buildConnector.Callback,
  timings?: ConnectTimings,
) => { destroy(): void } | undefined

/**
 * Connects undici's clients, but only where the guard lets them: it judges the port, every address of a name (a literal is
 * its own address), and what the socket is connected to in the end. A socket that is connected already (`httpSocket`) is
 * only upgraded to TLS.
 *
 * Its errors are {JobError}s (`guard.private_address`, `guard.port`, `dns.*`, `connect.timeout`), or those of Node's TCP and TLS.
 */
export function guardedConnector(options: ConnectorOptions): GuardedConnector {
  const { guard, resolver, connectTimeoutMs } = options
  let secure: buildConnector.connector | undefined // reading the root certificates takes a while

  return (target, callback, timings = noTimings()) => {
    const { hostname, protocol, httpSocket } = target
    let step: keyof ConnectTimings = 'dns'
    let begun = performance.now()
    let current: { destroy(): void } | undefined // what is being connected, or is connected
    let over = false
    const timer = setTimeout(() => fail(tooSlow(hostname, step, connectTimeoutMs)), connectTimeoutMs)

    function next(following: keyof ConnectTimings): void {
      measure()
      step = following
      begun = performance.now()
    }

    function measure(): void {
      timings[step] += performance.now() - begun
    }

    function end(): boolean {
      if (over) return false
      over = true
      clearTimeout(timer)
      measure()
      return true
    }

    function fail(error: Error): void {
      if (!end()) return
      current?.destroy()
      callback(error, null)
    }

    function judge(addresses: readonly string[]): boolean {
      const refused = addressRefusal(guard, hostname, addresses)
      if (refused !== undefined) fail(refused)
      return refused === undefined
    }

    function connectTo(addresses: readonly ResolvedAddress[]): void {
      if (over || !judge(addresses.map(({ address }) => address))) return
      if (addresses.length === 0) return void fail(new Error(`no address for ${hostname}`))
      next('connect')
      current = firstConnected({
        addresses,
        port: portOf(target),
        callback: (result) => (result instanceof Error ? fail(result) : connected(result)),
      })
    }

    function connected(socket: Socket): void {
      current = socket
      if (!httpSocket && socket.remoteAddress && !judge([socket.remoteAddress])) return
      if (protocol === 'https:') encrypt(socket)
      else done(socket)
    }

    function encrypt(httpSocket: Socket): void {
      next('tls')
      secure ??= buildConnector({ timeout: 0, secureContext: trusting(options.ca) }) // its timeout ticks once a second
      secure({ ...target, httpSocket }, (error, socket) => {
        if (error !== null) return fail(error)
        // In TLS 1.3 the want of a certificate of ours is said after the handshake (RFC 8446, section 4.4.2.4). Node
        // leaves the socket open then, and to undici its end would hide why.
        socket.once('error', (alert) => socket.destroy(alert))
        done(socket)
      })
    }

    function done(socket: Socket): void {
      if (end()) callback(null, socket)
      else socket.destroy()
    }

    const refused = httpSocket ? undefined : refusedTarget(guard, target)
    if (refused !== undefined) fail(refused)
    else if (httpSocket) connected(httpSocket)
    else if (isIP(hostname) > 0) connectTo([{ address: hostname, family: isIP(hostname) === 6 ? 6 : 4 }])
    else resolver.resolve(hostname).then(connectTo, fail)
    return {
      destroy() {
        if (end()) current?.destroy()
      },
    }
  }
}

/** What can be told before a name is looked up. */
function refusedTarget(guard: AddressGuard, target: buildConnector.Options): JobError | undefined {
  const { hostname } = target
  return (isIP(hostname) > 0 ? addressRefusal(guard, hostname, [hostname]) : undefined) ?? portRefusal(guard, target)
}

function tooSlow(host: string, step: keyof ConnectTimings, ms: number): JobError {
  return step === 'dns'
    ? new JobError('dns.timeout', `DNS did not answer for ${host} within ${ms} ms`, { retriable: true })
    : new JobError('connect.timeout', `no connection to ${host} within ${ms} ms`, { retriable: true })
}

/** One context for all connections: each of its own would read the certificates anew. */
function trusting(ca: string | undefined): SecureContext {
  return createSecureContext(ca === undefined ? {} : { ca: [...rootCertificates, ca] })
}
