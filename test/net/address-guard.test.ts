import assert from 'node:assert/strict'
import { addressGuard, parseNetwork } from '../../src/net/address-guard.ts'

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
      ['169.254.169.254', 'link-local'],
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
      ['64:ff9b::169.254.169.254', 'link-local'],
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
      assert.equal(guard.refusal('169.254.169.254'), 'link-local')
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
      assert.equal(addressGuard('downloads', ['169.254.169.254/32']).refusal('169.254.169.254'), undefined)
      assert.equal(addressGuard('downloads', ['10.0.0.0/8']).refusal('169.254.169.254'), 'link-local')
    })
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
