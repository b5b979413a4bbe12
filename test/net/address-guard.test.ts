import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { BlockList } from 'node:net'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { addressGuard, parseNetwork } from '../../src/net/address-guard.ts'

/** The list of the fetch standard, as undici has it for its own `fetch`. */
const { badPorts: badPortsOfBrowsers } = createRequire(import.meta.url)('undici/lib/web/fetch/constants.js') as {
  badPorts: readonly string[]
}

/**
 * Not globally reachable, or for protocols that no web server answers: the special-purpose registries, RFC 5771 and RFC 4291
 * for multicast, the clouds' metadata services that look public, and all of IPv6 that is not global unicast.
 */
const registries = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.31.196.0/24', '192.52.193.0/24', '192.88.99.0/24', '192.168.0.0/16', '192.175.48.0/24'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32'],
  ...['::/3', '2001::/23', '2001:db8::/32', '2620:4f:8000::/48', '3fff::/20', '4000::/2', '8000::/1'],
]

/** What leads to an IPv4 address: mapped, NAT64, 6to4, and ISATAP, which may. */
const leadsElsewhere = (address: string) =>
  /^(0:0:0:0:0:ffff:|64:ff9b:(?!1:)|2002:)/.test(address) || address.includes(':5efe:')

const numberOf = (address: string): bigint =>
  ipaddr
    .parse(address)
    .toByteArray()
    .reduce((number, byte) => number * 256n + BigInt(byte), 0n)

function textOf(number: bigint, family: 'ipv4' | 'ipv6'): string {
  const length = family === 'ipv6' ? 16 : 4
  const bytes = Array.from({ length }, (_, i) => Number((number >> BigInt(8 * (length - 1 - i))) & 0xffn))
  return ipaddr.fromByteArray(bytes).toNormalizedString()
}

describe('the address guard', () => {
  describe('for downloads', () => {
    const guard = addressGuard('downloads', [])

    for (const address of [
      '1.1.1.1',
      '8.8.8.8',
      '93.184.216.34',
      '172.32.0.1',
      '100.128.0.1',
      '2606:4700:4700::1111',
      '2a00:1450:4001:81b::200e',
      '::ffff:8.8.8.8',
      '64:ff9b::8.8.8.8', // how an IPv6-only network reaches 8.8.8.8
      '2002:808:808::1',
      '2606:4700::5efe:8.8.8.8', // ISATAP
      '2606:4700::100:5efe:10.0.0.1', // almost ISATAP
      '2606:4700::1111%eth0',
    ]) {
      it(`lets ${address} pass`, () => assert.equal(guard.refusal(address), undefined))
    }

    for (const [address, why] of [
      ['0.0.0.0', 'unspecified'],
      ['0.1.2.3', 'unspecified'],
      ['10.0.0.1', 'private'],
      ['100.64.0.1', 'carrier-grade NAT'],
      ['127.0.0.1', 'loopback'],
      ['127.255.255.254', 'loopback'],
      ['169.254.0.1', 'link-local'],
      ['169.254.169.254', 'a cloud metadata address'],
      ['169.254.169.253', 'link-local'],
      ['172.16.0.1', 'private'],
      ['172.31.255.255', 'private'],
      ['192.0.0.1', 'reserved'],
      ['192.0.2.1', 'reserved'],
      ['192.88.99.1', 'reserved'],
      ['192.168.1.1', 'private'],
      ['198.18.0.1', 'reserved'],
      ['198.51.100.1', 'reserved'],
      ['203.0.113.1', 'reserved'],
      ['224.0.0.1', 'multicast'],
      ['240.0.0.1', 'reserved'],
      ['255.255.255.255', 'broadcast'],
      ['168.63.129.16', 'a cloud metadata address'],
      ['100.100.100.200', 'a cloud metadata address'],
      ['::', 'unspecified'],
      ['::1', 'loopback'],
      ['fe80::1', 'link-local'],
      ['fe80::1%eth0', 'link-local'],
      ['febf::1', 'link-local'],
      ['fec0::1', 'reserved'],
      ['fc00::1', 'private'],
      ['fd12:3456::1', 'private'],
      ['fd00:ec2::254', 'a cloud metadata address'],
      ['ff02::1', 'multicast'],
      ['100::1', 'reserved'],
      ['2001:db8::1', 'reserved'],
      ['2001:2::1', 'reserved'],
      ['3fff::1', 'reserved'],
      ['5f00::1', 'reserved'],
      ['4000::1', 'reserved'],
      // forms of IPv4 addresses
      ['::ffff:127.0.0.1', 'loopback'],
      ['::ffff:7f00:1', 'loopback'],
      ['::ffff:10.0.0.1', 'private'],
      ['::ffff:0:10.0.0.1', 'reserved'],
      ['::127.0.0.1', 'reserved'],
      ['::a00:1', 'reserved'],
      ['64:ff9b::10.0.0.1', 'private'],
      ['64:ff9b::169.254.169.254', 'a cloud metadata address'],
      ['64:ff9b::169.254.1.1', 'link-local'],
      ['::ffff:127.0.0.1%lo', 'loopback'],
      ['fe80::5efe:8.8.8.8', 'link-local'],
      ['2606:4700::5efe:10.0.0.1', 'private'], // ISATAP
      ['2606:4700::200:5efe:127.0.0.1', 'loopback'],
      ['2001:0:a00:1::', 'reserved'],
      ['64:ff9b:1::8.8.8.8', 'reserved'],
      ['2002:7f00:1::', 'loopback'],
      ['2002:a00:1::1', 'private'],
      ['2001:0:808:808::1', 'reserved'], // Teredo
      // not addresses at all
      ['', 'not an IP address'],
      ['localhost', 'not an IP address'],
      ['127.1', 'not an IP address'],
      ['2130706433', 'not an IP address'],
    ] as const) {
      it(`refuses ${address || 'an empty text'}: ${why}`, () => assert.equal(guard.refusal(address), why))
    }

    it('exempts networks that are allowed, and nothing beside them', () => {
      const guard = addressGuard('downloads', ['10.1.0.0/16', 'fd00:1::/32', '192.168.7.7'])
      assert.equal(guard.refusal('10.1.2.3'), undefined)
      assert.equal(guard.refusal('10.2.0.1'), 'private')
      assert.equal(guard.refusal('fd00:1::5'), undefined)
      assert.equal(guard.refusal('fd00:2::5'), 'private')
      assert.equal(guard.refusal('192.168.7.7'), undefined)
      assert.equal(guard.refusal('192.168.7.8'), 'private')
      assert.equal(guard.refusal('169.254.1.1'), 'link-local')
    })

    it('exempts the IPv6 forms of an allowed IPv4 network', () => {
      const guard = addressGuard('downloads', ['10.0.0.0/8'])
      assert.equal(guard.refusal('::ffff:10.1.2.3'), undefined)
      assert.equal(guard.refusal('64:ff9b::10.1.2.3'), undefined)
      assert.equal(guard.refusal('::ffff:192.168.0.1'), 'private')
    })

    it('takes an IPv4-mapped network for the IPv4 network in it', () => {
      const guard = addressGuard('downloads', ['::ffff:10.0.0.0/104'])
      assert.equal(guard.refusal('10.9.9.9'), undefined)
      assert.equal(guard.refusal('11.9.9.9'), undefined)
      assert.equal(guard.refusal('127.0.0.1'), 'loopback')
    })

    it('exempts link-local addresses only when they are named', () => {
      assert.equal(addressGuard('downloads', ['169.254.1.1/32']).refusal('169.254.1.1'), undefined)
      assert.equal(addressGuard('downloads', ['10.0.0.0/8']).refusal('169.254.1.1'), 'link-local')
    })
  })

  describe('for metadata services', () => {
    const services = [
      '169.254.169.254',
      '169.254.170.2',
      '169.254.170.23',
      '169.254.0.23',
      '169.254.42.42',
      '168.63.129.16',
      '192.0.0.192',
      '100.100.100.200',
      'fe80::a9fe:a9fe',
      'fd00:ec2::254',
      'fd00:ec2::23',
      'fd20:ce::254',
      'fd00:42::42',
      '::ffff:169.254.169.254',
      '::a9fe:a9fe',
      '::ffff:0:169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b:1:a9fe:a9:fe00::', // RFC 6052 with a prefix of 48 bits
      '64:ff9b:1:a9:fe:a9fe::', // … of 56
      '64:ff9b:1:0:a9:fea9:fe00::', // … of 64
      '64:ff9b:1::a9fe:a9fe', // … of 96
      '2002:a9fe:a9fe::1',
      '2001:0:a9fe:a9fe::1', // Teredo: the server
      '2001:0:808:808::5601:5601', // … the client
      '2606:4700::5efe:169.254.169.254',
      'fd00::200:5efe:169.254.169.254',
    ]
    for (const policy of ['downloads', 'callbacks'] as const) {
      it(`refuses all of them, whatever is allowed as a whole (${policy})`, () => {
        for (const networks of [
          [],
          ['0.0.0.0/0', '::/0'],
          ['169.254.0.0/16', '10.0.0.0/8', '100.64.0.0/10', '168.63.129.0/24', '192.0.0.0/24', '169.254.169.254/31'],
          ['fc00::/7', 'fe80::/10', '64:ff9b::/96', '64:ff9b:1::/48', '2002::/16', '2001::/32', '::ffff:0:0/96'],
        ]) {
          const guard = addressGuard(policy, networks)
          for (const service of services) {
            assert.equal(guard.refusal(service), 'a cloud metadata address', `${service} with ${networks}`)
          }
        }
      })

      it(`exempts one that is named, in every form of it, and no other (${policy})`, () => {
        const guard = addressGuard(policy, ['169.254.169.254', 'fd00:ec2::/32', '64:ff9b::6464:64c8/128'])
        for (const address of ['169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254', '64:ff9b::6464:64c8']) {
          assert.equal(guard.refusal(address), undefined, address)
        }
        for (const address of ['169.254.170.2', '100.100.100.200', 'fd20:ce::254', '2002:6464:64c8::1']) {
          assert.equal(guard.refusal(address), 'a cloud metadata address', address)
        }
      })
    }
  })

  describe('for ports', () => {
    const guard = addressGuard('downloads', [])

    it('lets those pass that may speak HTTP', () => {
      for (const port of [80, 443, 2, 81, 3000, 3128, 5000, 8000, 8080, 8443, 9000, 9200, 32_768, 65_535]) {
        assert.equal(guard.portRefusal(port), undefined, String(port))
      }
    })

    it('refuses those of other services, and says of which', () => {
      for (const [port, service] of [
        [22, 'SSH'],
        [25, 'SMTP'],
        [53, 'DNS'],
        [3306, 'MySQL'],
        [6379, 'Redis'],
        [11211, 'memcached'],
      ] as const) {
        assert.equal(guard.portRefusal(port), `the port of ${service}`)
      }
    })

    it('refuses all that browsers refuse', () => {
      for (const port of badPortsOfBrowsers) assert.notEqual(guard.portRefusal(Number(port)), undefined, port)
    })

    it('refuses none that a system gives to whoever asks for any', () => {
      for (let port = 32_768; port <= 65_535; port++) assert.equal(guard.portRefusal(port), undefined, String(port))
    })

    it('exempts those that are allowed', () => {
      const guard = addressGuard('downloads', [], [6000])
      assert.deepEqual([guard.portRefusal(6000), guard.portRefusal(22)], [undefined, 'the port of SSH'])
    })

    it('leaves receivers to the operators', () => {
      assert.equal(addressGuard('callbacks', []).portRefusal(6000), undefined)
    })
  })

  /** Written from IANA's registries of special-purpose addresses, which the guard's library does not share. */
  describe('against the registries of IANA', () => {
    const special = { ipv4: new BlockList(), ipv6: new BlockList() } // one alone finds 8.8.8.8 in ::/3, as ::ffff:8.8.8.8
    const networks = registries.map((network) => {
      const [address = '', bits = ''] = network.split('/')
      const family = address.includes(':') ? 'ipv6' : 'ipv4'
      special[family].addSubnet(address, Number(bits), family)
      return { address, bits: Number(bits), family } as const
    })
    const guard = addressGuard('downloads', [])

    it('refuses the first and the last address of each, and none beside them', () => {
      for (const { address, bits, family } of networks) {
        const width = family === 'ipv6' ? 128n : 32n
        const first = numberOf(address)
        const last = first + (1n << (width - BigInt(bits))) - 1n
        for (const number of [first - 1n, first, last, last + 1n]) {
          if (number >= 0n && number < 1n << width) judge(textOf(number, family), family)
        }
      }
    })

    it('refuses what is in them of any addresses, and nothing else', () => {
      fc.assert(
        fc.property(fc.ipV4(), (address) => judge(address, 'ipv4')),
        { numRuns: 3000 },
      )
      const hextet = fc.integer({ min: 0, max: 0xffff }).map((number) => number.toString(16))
      const prefix = fc.constantFrom('2000', '2001', '2002', '2606', '3fff', '64', '100', '0', 'fd00', 'fe80', 'ff02')
      const address = fc.tuple(prefix, fc.array(hextet, { minLength: 7, maxLength: 7 }))
      fc.assert(
        fc.property(address, ([first, rest]) => judge([first, ...rest].join(':'), 'ipv6')),
        { numRuns: 3000 },
      )
    })

    function judge(address: string, family: 'ipv4' | 'ipv6'): void {
      if (family === 'ipv6' && leadsElsewhere(address)) return // what is embedded decides
      assert.equal(guard.refusal(address) !== undefined, special[family].check(address, family), address)
    }
  })

  describe('for callbacks', () => {
    const guard = addressGuard('callbacks', [])

    for (const address of [
      '127.0.0.1',
      '10.0.0.1',
      '192.168.1.1',
      '100.64.0.1',
      '::1',
      'fd00::1',
      '8.8.8.8',
      '2a00::1',
    ]) {
      it(`lets ${address} pass`, () => assert.equal(guard.refusal(address), undefined))
    }

    for (const address of [
      '169.254.169.254',
      '169.254.170.2',
      '::ffff:169.254.169.254',
      '::169.254.169.254',
      '::ffff:0:169.254.169.254',
      '64:ff9b::a9fe:a9fe',
      '64:ff9b:1::a9fe:a9fe',
      '2002:a9fe:a9fe::1',
      '2001:0:a9fe:a9fe::1',
      'fd00::5efe:169.254.1.1',
      'fe80::1%eth0',
      'fe80::a9fe:a9fe',
      'fd00:ec2::254',
      'fd00:ec2::23',
      'fd20:ce::254',
      '100.100.100.200',
      '168.63.129.16',
      '192.0.0.192',
    ]) {
      it(`refuses ${address}`, () => assert.notEqual(guard.refusal(address), undefined))
    }
  })

  describe('reading networks', () => {
    for (const text of ['10.0.0.0/8', '10.1.2.3', '0.0.0.0/0', '::/0', 'fd00::/8', '::1']) {
      it(`takes ${text}`, () => assert.doesNotThrow(() => parseNetwork(text)))
    }
    for (const text of [
      '',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/',
      '10.1/16',
      '10.0.0.0/8/8',
      'fd00::/129',
      'host/8',
    ]) {
      it(`says that ${JSON.stringify(text)} is no network`, () => {
        assert.throws(() => parseNetwork(text), { message: /is not a network in CIDR notation/ })
      })
    }
  })
})
