import type { GuardedConnector } from '../../net/connector.ts'
import { clients, type Destination, type Lease } from './clients.ts'
import { type HttpProxy, throughTunnel, toProxy } from './proxy.ts'

/** How to ask for a URL: the connection that leads there, and what to send over it. */
export interface Route {
  lease: Lease
  request: {
    /** The request's target (RFC 9112, section 3.2): a path, or to a proxy the whole URL. */
    path: string
    /** undici would connect anew for every `Host` that differs from the last; `toProxy` knows the name that counts. */
    servername?: string
  }
  /** Headers for the proxy: name, value, name, value, … */
  headers: string[]
}

export interface Connections {
  /** @param fresh no connection that has served before */
  to(url: URL, proxy: HttpProxy | undefined, fresh?: boolean): Route
  close(): Promise<void>
}

const mostIdle = 256

/**
 * Directly, and by proxies: to https origins through a tunnel (CONNECT), so that TLS is with the origin; to http origins
 * by asking the proxy for the whole URL, as curl and Go do: many proxies allow tunnels to port 443 only.
 */
export function connections(connector: GuardedConnector, connectTimeoutMs: number): Connections {
  const open = clients(mostIdle)

  const proxyItself = (proxy: HttpProxy): Destination => ({
    key: `proxy ${proxy.key}`,
    origin: proxy.origin,
    connector: () => toProxy(connector, proxy),
  })
  const tunnel = (origin: string, proxy: HttpProxy): Destination => ({
    key: `${origin} by ${proxy.key}`,
    origin,
    connector: () => throughTunnel(connector, proxy, () => open.take(proxyItself(proxy), true), connectTimeoutMs),
  })

  return {
    to({ origin, protocol, host, pathname, search }, proxy, fresh) {
      const path = pathname + search
      if (proxy === undefined) {
        const lease = open.take({ key: origin, origin, connector: () => connector }, fresh)
        return { lease, request: { path }, headers: [] }
      }
      if (protocol === 'https:') {
        return { lease: open.take(tunnel(origin, proxy), fresh), request: { path }, headers: [] }
      }
      return {
        lease: open.take(proxyItself(proxy), fresh),
        request: { path: origin + path, servername: proxy.host },
        headers: ['Host', host, ...proxy.headers],
      }
    },
    close: open.close,
  }
}
