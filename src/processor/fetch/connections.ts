import { type buildConnector, Pool } from 'undici'
import { type Lease, pools } from './pools.ts'
import { type HttpProxy, throughTunnel, toProxy } from './proxy.ts'

/** How to ask for a URL: the connections that lead there, and what to send over them. */
export interface Route {
  lease: Lease
  /** The request's target (RFC 9112, section 3.2): a path, or to a proxy the whole URL. */
  path: string
  /** Headers for the proxy: name, value, name, value, … */
  headers: string[]
  /** The name in TLS, where it is not that of the request's host. */
  servername?: string
}

export interface Connections {
  to(url: URL, proxy: HttpProxy | undefined): Route
  close(): Promise<void>
}

const mostIdleOrigins = 256
const poolOptions = {
  headersTimeout: 0, // timers are the exchange's
  bodyTimeout: 0,
  keepAliveMaxTimeout: 10_000, // servers may offer minutes; a processor talks to thousands of them
}

/**
 * Directly, and by proxies: to https origins through a tunnel (CONNECT), so that TLS is with the origin; to http origins
 * by asking the proxy for the whole URL, as curl and Go do: many proxies allow tunnels to port 443 only.
 */
export function connections(connector: buildConnector.connector, connectTimeoutMs: number): Connections {
  const open = pools(mostIdleOrigins)
  const use = (key: string, origin: string, connect: () => buildConnector.connector) =>
    open.use(key, () => new Pool(origin, { ...poolOptions, connect: connect() }))

  const useProxy = (proxy: HttpProxy) => use(`proxy ${proxy.key}`, proxy.origin, () => toProxy(connector, proxy))
  const useTunnel = (origin: string, proxy: HttpProxy) =>
    use(`${proxy.key} ${origin}`, origin, () =>
      throughTunnel(connector, proxy, () => useProxy(proxy), connectTimeoutMs),
    )

  return {
    to({ origin, protocol, host, pathname, search }, proxy) {
      const path = pathname + search
      if (proxy === undefined) return { lease: use(origin, origin, () => connector), path, headers: [] }
      if (protocol === 'https:') return { lease: useTunnel(origin, proxy), path, headers: [] }
      const { headers, servername } = proxy
      return { lease: useProxy(proxy), path: origin + path, headers: ['Host', host, ...headers], servername }
    },
    close: open.close,
  }
}
