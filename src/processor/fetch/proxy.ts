import { isIP, Socket } from 'node:net'
import type { buildConnector } from 'undici'
import { JobError } from '../../jobs/errors.ts'
import { type GuardedConnector, noTimings } from '../../net/connector.ts'
import { basicAuthorization } from '../../net/request-headers.ts'
import type { Lease } from './clients.ts'
import { proxyFailure, proxyRefusal } from './errors.ts'

/** The HTTP proxy of an aggregation. */
export interface HttpProxy {
  /** With its credentials: only for comparing. */
  key: string
  origin: string
  host: string
  /** `proxy-authorization`, when its address has credentials. */
  headers: string[]
}

/** @throws {JobError} `proxy.invalid` */
export function parseProxy(address: string): HttpProxy {
  const url = URL.canParse(address) ? new URL(address) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new JobError('proxy.invalid', 'invalid proxy: its address must be an http or https URL', { retriable: false })
  }
  const authorization = basicAuthorization(url)
  return {
    key: url.href,
    origin: url.origin,
    host: url.host,
    headers: authorization === undefined ? [] : ['proxy-authorization', authorization],
  }
}

/** Connects to the proxy; what goes wrong is the proxy's fault. TLS is with the proxy, whatever host a request is for. */
export function toProxy(connector: GuardedConnector, { host }: HttpProxy): GuardedConnector {
  return (target, callback, timings) => {
    const connected: buildConnector.Callback = (error, socket) => {
      if (error !== null) callback(proxyFailure(error, host), null)
      else callback(null, socket)
    }
    return connector({ ...target, servername: '' }, connected, timings)
  }
}

/**
 * Connects to an https origin through a tunnel (RFC 9110, section 9.3.6): the origin's certificate is checked as ever.
 *
 * @param takeConnection to the proxy itself; it becomes the tunnel
 * @param timeoutMs for the proxy's connection and its answer; TLS with the origin has its own
 */
export function throughTunnel(
  connector: GuardedConnector,
  proxy: HttpProxy,
  takeConnection: () => Lease,
  timeoutMs: number,
): GuardedConnector {
  return (target, callback, timings = noTimings()) => {
    const lease = takeConnection()
    const begun = performance.now()
    const measure = () => {
      timings.dns += lease.timings.dns
      timings.connect += performance.now() - begun - lease.timings.dns
    }
    let connecting: ReturnType<GuardedConnector> = lease
    openTunnel(lease, proxy, target, timeoutMs).then(
      (httpSocket) => {
        measure()
        connecting = connector({ ...target, httpSocket }, callback, timings)
      },
      (error) => {
        measure()
        callback(proxyFailure(error, proxy.host), null)
      },
    )
    return { destroy: () => connecting?.destroy() }
  }
}

function openTunnel(
  lease: Lease,
  { host, headers }: HttpProxy,
  { hostname, port, protocol }: buildConnector.Options,
  timeoutMs: number,
): Promise<Socket> {
  const path = `${isIP(hostname) === 6 ? `[${hostname}]` : hostname}:${port || (protocol === 'https:' ? 443 : 80)}`
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      const text = `proxy failed: no tunnel through ${host} within ${timeoutMs} ms`
      reject(new JobError('proxy.failed', text, { retriable: true }))
      lease.destroy()
    }
    const timer = setTimeout(giveUp, timeoutMs)
    lease.client.connect({ path, headers }, (error, data) => {
      clearTimeout(timer)
      lease.destroy() // its socket is not its own any more
      if (error) return reject(error)
      const { statusCode, socket } = data
      if (socket instanceof Socket && statusCode >= 200 && statusCode < 300) return resolve(socket)
      socket.on('error', () => {}).destroy()
      reject(proxyRefusal(host, statusCode))
    })
  })
}
