import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { badPorts } from './bad-ports.ts'
import { embeddedIPv4 } from './embedded-ipv4.ts'

type Address = ReturnType<typeof ipaddr.parse>
type Network = readonly [Address, number]

/** Judges addresses and ports, never names: it is asked about what a socket is really going to connect to. */
export interface AddressGuard {
  /**
   * Why `address` must not be connected to, in words that follow "is" (`loopback`, `link-local`); undefined when it may.
   *
   * @param address an IP address; anything else is refused
   */
  refusal(address: string): string | undefined
  /** Why `port` must not be connected to, in words that follow "is" (`the port of SMTP`); undefined when it may. */
  portRefusal(port: number): string | undefined
}

/**
 * Which addresses are refused:
 * - `downloads`: a job's URL may come from anybody, so only addresses of the public Internet pass, and only ports that
 *   may speak HTTP
 * - `callbacks`: receivers are the operators' own services, so only link-local and cloud metadata addresses are refused
 */
export type GuardPolicy = 'downloads' | 'callbacks'

/** A guard for each policy, as a deployment has them. */
export type Guards = Readonly<Record<GuardPolicy, AddressGuard>>

/**
 * Where clouds hand out credentials to whoever asks; some have addresses that look public. Each as narrow as it is given
 * for the service: an `allow_networks` entry wider than that does not mean it.
 */
const metadataNetworks = [
  '169.254.169.254/32', // AWS, Azure, Google Cloud, Oracle Cloud, DigitalOcean, OpenStack …
  'fe80::a9fe:a9fe/128', // OpenStack
  '169.254.170.2/32', // AWS ECS
  '169.254.170.23/32', // AWS EKS
  'fd00:ec2::/32', // AWS
  'fd20:ce::254/128', // Google Cloud
  '168.63.129.16/32', // Azure
  '192.0.0.192/32', // Oracle Cloud
  '100.100.100.200/32', // Alibaba Cloud
  '169.254.0.23/32', // Tencent Cloud
  '169.254.42.42/32', // Scaleway
  'fd00:42::42/128', // Scaleway
].map(parseNetwork)
const METADATA = 'a cloud metadata address'

/** The part of IPv6 that has been handed out as global unicast (IANA); everything else is for special uses. */
const globalUnicast = parseNetwork('2000::/3')
/** RFC 6052: how a host in an IPv6-only network reaches IPv4. */
const nat64 = parseNetwork('64:ff9b::/96')
/** RFC 3056 */
const sixToFour = parseNetwork('2002::/16')

/**
 * @param allowNetworks CIDRs (or single addresses) that are exempt. One of IPv4 also covers the IPv6 forms of its
 *   addresses. A metadata service is exempt only by an entry that lies within the service's own network
 * @param allowPorts ports that are exempt; callbacks need none
 * @throws Error when an entry is no network
 */
export function addressGuard(
  policy: GuardPolicy,
  allowNetworks: readonly string[],
  allowPorts: readonly number[] = [],
): AddressGuard {
  const allowed = allowNetworks.map(parseNetwork)
  const objection = policy === 'downloads' ? notPublic : linkLocal
  const ports = policy === 'downloads' ? badPorts : new Map<number, string>()

  const isAllowed = (address: Address, leastBits: number) =>
    isIn(
      address,
      allowed.filter(([, bits]) => bits >= leastBits),
    )
  const isMetadata = (address: Address): boolean => {
    const service = metadataNetworks.find((network) => isIn(address, [network]))
    return service !== undefined && !isAllowed(address, service[1])
  }

  function judge(address: Address): string | undefined {
    const embedded = embeddedIPv4(address)
    const isNamed = isAllowed(address, address.toByteArray().length * 8)
    if (!isNamed && [address, ...embedded].some(isMetadata)) return METADATA
    if (isAllowed(address, 0)) return undefined
    return objection(address) ?? embedded.map(judge).find(Boolean)
  }

  return {
    refusal: (address) => (isIP(address) === 0 ? 'not an IP address' : judge(parseAddress(address))),
    portRefusal(port) {
      const service = allowPorts.includes(port) ? undefined : ports.get(port)
      return service === undefined ? undefined : `the port of ${service}`
    },
  }
}

/**
 * Reads `10.0.0.0/8`, `fd00::/8`, or a single address. An IPv4-mapped network is the same as the IPv4 network in it.
 *
 * @throws Error that says what is wrong with the text
 */
export function parseNetwork(text: string): Network {
  const [address = '', length, ...rest] = text.split('/')
  const family = isIP(address) // ipaddr.js alone would read `10.1/16` as 10.0.0.1/16
  const bits = length === undefined ? (family === 6 ? 128 : 32) : /^\d{1,3}$/.test(length) ? Number(length) : -1
  if (family === 0 || rest.length > 0 || bits < 0 || bits > (family === 6 ? 128 : 32)) {
    throw new Error(`${JSON.stringify(text)} is not a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8`)
  }
  const network = ipaddr.parse(hexadecimal(address))
  return network instanceof ipaddr.IPv6 && network.isIPv4MappedAddress() && bits >= 96
    ? [network.toIPv4Address(), bits - 96]
    : [network, bits]
}

/** An IPv4-mapped address is the IPv4 address in it; a zone (`%eth0`) says nothing of where an address leads. */
const parseAddress = (address: string): Address => ipaddr.process(hexadecimal(address))

/** `::1.2.3.4` as `::102:304`: ipaddr.js would take the former for an IPv4-mapped address. */
function hexadecimal(text: string): string {
  const [address = ''] = text.split('%', 1)
  if (!address.includes(':')) return address
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
}

function notPublic(address: Address): string | undefined {
  if (isIn(address, [nat64, sixToFour])) return undefined // what is embedded in it decides
  const range = address.range()
  if (range !== 'unicast') return words[range] ?? 'reserved'
  return address instanceof ipaddr.IPv6 && !isIn(address, [globalUnicast]) ? 'reserved' : undefined
}

function linkLocal(address: Address): string | undefined {
  return address.range() === 'linkLocal' ? 'link-local' : undefined
}

const words: Record<string, string> = {
  unspecified: 'unspecified',
  broadcast: 'broadcast',
  multicast: 'multicast',
  linkLocal: 'link-local',
  loopback: 'loopback',
  carrierGradeNat: 'carrier-grade NAT',
  private: 'private',
  uniqueLocal: 'private',
}

function isIn(address: Address, networks: readonly Network[]): boolean {
  return networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
}
