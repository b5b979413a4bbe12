import ipaddr from 'ipaddr.js'

/** Where RFC 6052, section 2.2, puts the four bytes behind a prefix of 48, 56, 64 or 96 bits; byte 8 is always 0. */
const translated = [
  [6, 7, 9, 10],
  [7, 9, 10, 11],
  [9, 10, 11, 12],
  [12, 13, 14, 15],
]
const wellKnownNat64 = ipaddr.parseCIDR('64:ff9b::/96')

/**
 * The IPv4 addresses that packets to an IPv6 address may end up at, by every way of translating or tunnelling that can
 * be told from the address. IPv4-mapped ones are none of them: they are IPv4 already.
 */
export function embeddedIPv4(address: ipaddr.IPv4 | ipaddr.IPv6): ipaddr.IPv4[] {
  if (!(address instanceof ipaddr.IPv6)) return []
  const bytes = address.toByteArray()
  const at = (offsets: readonly number[], mask = 0) =>
    new ipaddr.IPv4(offsets.map((offset) => (bytes[offset] ?? 0) ^ mask))
  const last = at([12, 13, 14, 15])
  switch (address.range()) {
    case '6to4': // RFC 3056
      return [at([2, 3, 4, 5])]
    case 'teredo': // RFC 4380: server, and the client's address with its bits flipped
      return [at([4, 5, 6, 7]), at([12, 13, 14, 15], 0xff)]
    case 'rfc6052': // NAT64; the length of a prefix below 64:ff9b:1::/48 (RFC 8215) is the network's own affair
      return address.match(wellKnownNat64) ? [last] : translated.map((offsets) => at(offsets))
    case 'rfc6145': // SIIT: ::ffff:0:1.2.3.4
      return [last]
    default:
      return isIsatap(bytes) || isCompatible(address, bytes) ? [last] : []
  }
}

/** RFC 5214, section 6.1: an interface identifier of 0000:5efe or 0200:5efe, behind any prefix. */
function isIsatap(bytes: readonly number[]): boolean {
  const [first, ...rest] = bytes.slice(8, 12)
  return (first === 0 || first === 2) && rest.join() === '0,94,254'
}

/** RFC 4291, section 2.5.5.1: ::1.2.3.4; `::` and `::1` are none. */
function isCompatible(address: ipaddr.IPv6, bytes: readonly number[]): boolean {
  return bytes.slice(0, 12).every((byte) => byte === 0) && address.range() === 'unicast'
}
