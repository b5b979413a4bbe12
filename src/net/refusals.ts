import { JobError } from '../jobs/errors.ts'
import type { AddressGuard } from './address-guard.ts'
import { knownAddresses } from './resolver.ts'

/** What of a URL says where to connect to. */
interface Target {
  protocol: string
  hostname: string
  /** `''` is that of the scheme. */
  port: string
}

/** The failure of a connection to a host with these addresses, when the guard refuses one of them. */
export function addressRefusal(guard: AddressGuard, host: string, addresses: readonly string[]): JobError | undefined {
  for (const address of addresses) {
    const why = guard.refusal(address)
    if (why === undefined) continue
    const where = address === host ? host : `${host} (${address})`
    return new JobError('guard.private_address', `refused address: ${where} is ${why}`, { retriable: false })
  }
  return undefined
}

/** The failure of a connection to a port of a host, when the guard refuses it. */
export function portRefusal(guard: AddressGuard, target: Target): JobError | undefined {
  const port = portOf(target)
  const why = guard.portRefusal(port)
  if (why === undefined) return undefined
  const text = `refused port: ${port} of ${target.hostname} is ${why}`
  return new JobError('guard.port', text, { retriable: false })
}

/** The port of a URL, which is `''` where it is that of the scheme. */
export const portOf = ({ protocol, port }: Pick<Target, 'protocol' | 'port'>): number =>
  Number(port || (protocol === 'https:' ? 443 : 80))

/**
 * The failure of a connection to a URL, as far as it can be told without asking for a name: what refuses its port, or its
 * address when that stands in the URL itself or is `localhost`, of which one address must be allowed.
 */
export function urlRefusal(guard: AddressGuard, url: URL): JobError | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const refused = (knownAddresses(host) ?? []).map(({ address }) => addressRefusal(guard, host, [address]))
  return (refused.includes(undefined) ? undefined : refused[0]) ?? portRefusal(guard, url)
}
