import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

type Address = ReturnType<typeof ipaddr.parse>
type Network = readonly [Address, number]

/** Judges addresses, never names: it is asked about what a socket is really going to connect to. */
export interface AddressGuard {
  /**
   * Why `address` must not be connected to, in words that follow "is" (`loopback`, `link-local`); undefined when it may.
   *
   * @param address an IP address; anything else is refused
   */
  refusal(address: string): string | undefined
}

/**
 * Which addresses are refused:
 * - `downloads`: a job's URL may come from anybody, so only addresses of the public Internet pass
 * - `callbacks`: receivers are the operators' own services, so only link-local and cloud metadata addresses are refused
 */
export type GuardPolicy = 'downloads' | 'callbacks'

/** Metadata services of clouds outside of the link-local range; some of them have addresses that look public. */
const metadataNetworks = [
  '100.100.100.200/32', // Alibaba Cloud
  '168.63.129.16/32', // Azure
  '192.0.0.192/32', // Oracle Cloud
  'fd00:ec2::/32', // AWS
  'fd20:ce::254/128', // Google Cloud
].map(parseNetwork)

/** The part of IPv6 that has been handed out as global unicast (IANA); everything else is for special uses. */
const globalUnicast = parseNetwork('2000::/3')
/** RFC 6052: how a host in an IPv6-only network reaches IPv4. */
const nat64 = parseNetwork('64:ff9b::/96')
/** RFC 3056 */
const sixToFour = parseNetwork('2002::/16')

/**
 * @param allowNetworks CIDRs (or single addresses) that are exempt. One of IPv4 also covers the IPv4-mapped form of its addresses.
 * @throws Error when one of them is no network
 */
export function addressGuard(policy: GuardPolicy, allowNetworks: readonly string[]): AddressGuard {
  const allowed = allowNetworks.map(parseNetwork)
  const objection = policy === 'downloads' ? notPublic : linkLocalOrMetadata

  const judge = (address: Address): string | undefined =>
    isIn(address, allowed) ? undefined : (objection(address) ?? embeddedIPv4(address).map(judge).find(Boolean))

  return {
    refusal: (address) => (isIP(address) === 0 ? 'not an IP address' : judge(ipaddr.process(hexadecimal(address)))),
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

/** `::1.2.3.4` as `::102:304`: ipaddr.js would take the former for an IPv4-mapped address. */
function hexadecimal(address: string): string {
  if (!address.includes(':')) return address
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.map(Number)
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`
  })
}

function notPublic(address: Address): string | undefined {
  if (isIn(address, metadataNetworks)) return 'a cloud metadata address'
  if (isIn(address, [nat64, sixToFour])) return undefined // what is embedded in it decides
  const range = address.range()
  if (range !== 'unicast') return words[range] ?? 'reserved'
  return address instanceof ipaddr.IPv6 && !isIn(address, [globalUnicast]) ? 'reserved' : undefined
}

function linkLocalOrMetadata(address: Address): string | undefined {
  if (isIn(address, metadataNetworks)) return 'a cloud metadata address'
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

/** The IPv4 addresses that packets to an IPv6 address may end up at (IPv4-mapped ones are IPv4 already). */
function embeddedIPv4(address: Address): Address[] {
  if (!(address instanceof ipaddr.IPv6)) return []
  const bytes = address.toByteArray()
  const at = (offset: number, mask = 0) => new ipaddr.IPv4(bytes.slice(offset, offset + 4).map((byte) => byte ^ mask))
  switch (address.range()) {
    case '6to4':
      return [at(2)]
    case 'teredo': // RFC 4380: server, and the client's address with its bits flipped
      return [at(4), at(12, 0xff)]
    case 'rfc6052':
    case 'rfc6145':
      return [at(12)]
    default: // RFC 4291: IPv4-compatible; `::` and `::1` are none
      return bytes.slice(0, 12).every((byte) => byte === 0) && address.range() === 'unicast' ? [at(12)] : []
  }
}

function isIn(address: Address, networks: readonly Network[]): boolean {
  return networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
}
