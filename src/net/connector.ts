import { isIP, type LookupFunction, Socket } from 'node:net'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import { JobError } from '../jobs/errors.ts'
import type { AddressGuard } from './address-guard.ts'
import { addressRefusal, portRefusal } from './refusals.ts'
import type { Resolver } from './resolver.ts'

export interface ConnectorOptions {
  guard: AddressGuard
  resolver: Resolver
  /** For the name, the connection and the TLS handshake together. */
  connectTimeoutMs: number
  /** PEM certificates to trust beside Node's own. */
  ca?: string | undefined
}

/** A connector for undici that returns what is connecting: destroying it gives up, and then nobody is called back. */
export type GuardedConnector = (
  target: buildConnector.Options,
  callback: buildConnector.Callback,
) => { destroy(): void } | undefined

/** How long one of several addresses is tried before the next; Node gives the last one all the time that is left. */
const attemptMs = 500

/**
 * Connects undici's clients, but only where the guard lets them: it judges the port, the address in a URL (Node calls no
 * `lookup` for one), every address of a name, and what the socket is connected to in the end. TLS over a socket that
 * is connected already (`httpSocket`) is only upgraded.
 *
 * Its errors are {JobError}s (`guard.private_address`, `guard.port`, `dns.*`, `connect.timeout`), or those of Node's TCP and TLS.
 */
export function guardedConnector(options: ConnectorOptions): GuardedConnector {
  const { guard, connectTimeoutMs } = options
  const settings = {
    timeout: 0, // undici's own ticks once a second
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: attemptMs,
    lookup: guardedLookup(options),
  }
  const plain = buildConnector(settings)
  let secure: buildConnector.connector | undefined // reading the root certificates takes a while

  return (target, callback) => {
    const { hostname, protocol, httpSocket } = target
    const refused = httpSocket ? undefined : refusedTarget(guard, target)
    if (refused !== undefined) {
      callback(refused, null)
      return undefined
    }

    if (protocol === 'https:') secure ??= buildConnector({ ...settings, secureContext: trusting(options.ca) })
    const connect = protocol === 'https:' && secure !== undefined ? secure : plain
    let timer: NodeJS.Timeout | undefined
    // undici returns the socket that is connecting, though its types do not say so
    const connecting: unknown = connect(target, (error, socket) => {
      clearTimeout(timer)
      if (error !== null) return callback(error, null)
      const misled = socket.remoteAddress ? addressRefusal(guard, hostname, [socket.remoteAddress]) : undefined
      if (misled === undefined) return callback(null, socket)
      socket.destroy()
      callback(misled, null)
    })

    if (!(connecting instanceof Socket)) return undefined
    let resolving = isIP(hostname) === 0 && !httpSocket
    connecting.once('lookup', () => {
      resolving = false
    })
    connecting.once('close', () => clearTimeout(timer))
    timer = setTimeout(() => connecting.destroy(tooSlow(hostname, resolving, connectTimeoutMs)), connectTimeoutMs)
    return connecting
  }
}

/** What can be told before a name is looked up. */
function refusedTarget(guard: AddressGuard, target: buildConnector.Options): JobError | undefined {
  const { hostname } = target
  return (isIP(hostname) > 0 ? addressRefusal(guard, hostname, [hostname]) : undefined) ?? portRefusal(guard, target)
}

/** For `net.connect`: a name of which any address is refused is refused. */
function guardedLookup({ guard, resolver }: ConnectorOptions): LookupFunction {
  return (host, { all }, callback) => {
    resolver.resolve(host).then(
      (addresses) => {
        const refused = addressRefusal(
          guard,
          host,
          addresses.map(({ address }) => address),
        )
        const [first] = addresses
        if (refused !== undefined || first === undefined) callback(refused ?? new Error(`no address for ${host}`), '')
        else if (all) callback(null, [...addresses])
        else callback(null, first.address, first.family)
      },
      (error) => callback(error, ''),
    )
  }
}

function tooSlow(host: string, resolving: boolean, ms: number): JobError {
  return resolving
    ? new JobError('dns.timeout', `DNS did not answer for ${host} within ${ms} ms`, { retriable: true })
    : new JobError('connect.timeout', `no connection to ${host} within ${ms} ms`, { retriable: true })
}

/** One context for all connections: each of its own would read the certificates anew. */
function trusting(ca: string | undefined): SecureContext {
  return createSecureContext(ca === undefined ? {} : { ca: [...rootCertificates, ca] })
}
