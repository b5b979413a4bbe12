/**
 * For `NODE_OPTIONS`: names are asked for at this DNS server instead of those of `/etc/resolv.conf`, which cannot name a
 * port, and getaddrinfo knows nothing.
 *
 * @param address `127.0.0.1:port`
 */
export function localDns(address: string): string {
  const script = `
    import dns from 'node:dns'
    dns.promises.Resolver = class extends dns.promises.Resolver {
      constructor(options) {
        super(options)
        this.setServers(['${address}'])
      }
    }
    dns.promises.lookup = async () => {
      throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' })
    }
  `
  return `--import=data:text/javascript,${encodeURIComponent(script)}`
}
