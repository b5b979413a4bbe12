import assert from 'node:assert/strict'
import { addressGuard } from '../../src/net/address-guard.ts'
import { explainUrl } from '../../src/net/explain.ts'
import { resolver } from '../../src/net/resolver.ts'
import { startDns } from './dns-server.ts'
import { recordConnections } from './recording.ts'

describe('the explanation of a URL', () => {
  const guard = addressGuard('downloads', ['10.1.0.0/16'])

  async function explain(url: string, zone: Record<string, string[]> = {}) {
    const silent = (name: string) => name === 'silent.test'
    await using dns = await startDns((name, type) => {
      if (silent(name)) return undefined
      const addresses = zone[name]?.filter((address) => address.includes(':') === (type === 'AAAA'))
      return addresses ? { addresses } : { rcode: 3 }
    })
    const names = resolver({
      servers: [dns.address],
      hostsFile: '/dev/null',
      systemLookup: async () => [],
      timeoutMs: 500,
    })
    using recording = recordConnections()
    try {
      return await explainUrl(url, guard, names)
    } finally {
      names.close()
      assert.deepEqual(recording.targets, [])
    }
  }

  it('says of each address of a name what becomes of it', async () => {
    const zone = { 'many.test': ['93.184.216.34', '10.1.2.3', '10.2.0.1', '2606:2800:220:1::1'] }
    assert.deepEqual(await explain('https://user:secret@many.test:8443/path?query', zone), {
      allowed: false,
      scheme: 'https',
      host: 'many.test',
      port: 8443,
      addresses: [
        { address: '93.184.216.34', allowed: true, reason: '' },
        { address: '10.1.2.3', allowed: true, reason: '' },
        { address: '10.2.0.1', allowed: false, reason: 'private' },
        { address: '2606:2800:220:1::1', allowed: true, reason: '' },
      ],
      reasons: ['refused address: many.test (10.2.0.1) is private'],
      note: '',
    })
  })

  it('has all reasons, that of the port first', async () => {
    const { reasons, port } = await explain('http://[::1]:25/')
    assert.equal(port, 25)
    assert.deepEqual(reasons, ['refused port: 25 of [::1] is the port of SMTP', 'refused address: ::1 is loopback'])
  })

  it('shows the address behind the spelling', async () => {
    const { host, addresses } = await explain('http://0x7f.1/')
    assert.equal(host, '127.0.0.1')
    assert.deepEqual(addresses, [{ address: '127.0.0.1', allowed: false, reason: 'loopback' }])
  })

  it('names a scheme that is not ours, and what is no URL', async () => {
    assert.deepEqual((await explain('gopher://many.test/')).reasons, [
      'refused scheme: gopher is neither http nor https',
    ])
    assert.deepEqual((await explain('http://[fe80::1%25eth0]/')).reasons, ['it is not a valid URL'])
  })

  it('notes a name that has no address, which is no refusal', async () => {
    const { allowed, reasons, note } = await explain('http://unknown.test/')
    assert.deepEqual([allowed, reasons, note], [true, [], 'no address found for host unknown.test'])
  })

  it('waits for DNS no longer than it may', async () => {
    const { allowed, note } = await explain('http://silent.test/')
    assert.deepEqual([allowed, note], [true, 'DNS did not answer for silent.test within 500 ms'])
  })

  it('asks nobody for a name that a proxy looks up', async () => {
    const { allowed, note } = await explainUrl('http://many.test/', guard, undefined)
    assert.deepEqual([allowed, note], [true, 'the proxy looks the name up'])
    const literal = await explainUrl('http://10.2.0.1/', guard, undefined)
    assert.deepEqual(literal.reasons, ['refused address: 10.2.0.1 is private'])
    const local = await explainUrl('http://localhost/', guard, undefined)
    assert.deepEqual(local.reasons, ['refused address: localhost (127.0.0.1) is loopback'])
  })
})
