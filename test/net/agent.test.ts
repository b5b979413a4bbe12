import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { networkInterfaces, tmpdir } from 'node:os'
import path from 'node:path'
import { request } from 'undici'
import { JobError } from '../../src/jobs/errors.ts'
import { addressGuard, type GuardPolicy } from '../../src/net/address-guard.ts'
import { guardedAgent } from '../../src/net/agent.ts'
import { resolver } from '../../src/net/resolver.ts'
import { makeCertificates } from '../support/certificates.ts'
import { response, startCanary, startRawOrigin } from '../support/origin.ts'
import { type DnsAnswer, startDns } from './dns-server.ts'

describe('the guarded agent', () => {
  interface Options {
    policy?: GuardPolicy
    allow?: string[]
    connectTimeoutMs?: number
    ca?: string
    zone?: (name: string, type: 'A' | 'AAAA') => DnsAnswer | undefined
  }

  async function start({ policy = 'downloads', allow = [], connectTimeoutMs = 2000, ca, zone }: Options = {}) {
    const dns = await startDns(zone ?? (() => ({ rcode: 3 })))
    const names = resolver({ servers: [dns.address], hostsFile: '/dev/null', systemLookup: async () => [] })
    const agent = guardedAgent({
      guard: addressGuard(policy, allow),
      resolver: names,
      connectTimeoutMs,
      ...(ca ? { ca } : {}),
    })
    return {
      async get(url: string): Promise<string> {
        const { body } = await request(url, { dispatcher: agent })
        return body.text()
      },
      async [Symbol.asyncDispose]() {
        await agent.destroy()
        names.close()
        await dns[Symbol.asyncDispose]()
      },
    }
  }

  const refused = (text: string) => (error: unknown) => {
    assert.ok(error instanceof JobError, String(error))
    assert.equal(error.code, 'guard.private_address')
    assert.equal(error.retriable, false)
    assert.ok(error.message.includes(text), error.message)
    return true
  }

  for (const spelling of [
    '127.0.0.1',
    '127.1',
    '127.0.1',
    '2130706433',
    '017700000001',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '127.0.0.1.',
    '127.000.000.001',
    '0',
    '0.0.0.0',
    '１２７.０.０.１',
    '127。0。0。1',
    '①②⑦.⓪.⓪.①',
    '%31%32%37.0.0.1',
    '127%2e0%2E0%2e1',
    '0X7F.0.0.0x01',
    '00000177.0x0.0.01',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:7f00:0001]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[64:ff9b:1::7f00:1]',
    '[2001::7f00:1]',
    '[2606:4700::5efe:127.0.0.1]',
    'localhost',
    'LOCALHOST.',
    'anything.localhost',
  ]) {
    it(`opens no connection to http://${spelling}/`, async () => {
      await using canary = await startCanary()
      await using harness = await start()
      await assert.rejects(harness.get(`http://${spelling}:${canary.port}/`), refused('is '))
      assert.equal(canary.connections, 0)
    })
  }

  it('is watched by a canary that hears whoever connects, at each address of loopback', async () => {
    await using canary = await startCanary()
    const { lo = [] } = networkInterfaces()
    const hosts = [
      '127.0.0.1',
      '127.0.0.2',
      '0.0.0.0',
      ...lo.filter(({ family }) => family === 'IPv6').map(() => '[::1]'),
    ]
    for (const host of hosts) await (await request(`http://${host}:${canary.port}/`, { reset: true })).body.dump()
    assert.equal(canary.connections, hosts.length)
  })

  it('connects where it may', async () => {
    await using origin = await startRawOrigin(() => response('hello'))
    await using harness = await start({ allow: ['127.0.0.1/32'], zone: () => ({ addresses: ['127.0.0.1'] }) })
    assert.equal(await harness.get(`http://here.test:${origin.port}/`), 'hello')
    assert.equal(await harness.get(origin.url), 'hello')
  })

  it('refuses a name of which one address is refused, and names it', async () => {
    await using canary = await startCanary()
    const zone = () => ({ addresses: ['127.0.0.1', '10.0.0.1'] })
    await using harness = await start({ allow: ['127.0.0.1/32'], zone })
    await assert.rejects(harness.get(`http://mixed.test:${canary.port}/`), refused('mixed.test (10.0.0.1) is private'))
    assert.equal(canary.connections, 0)
  })

  it('judges a name anew for every connection: one that points elsewhere by then is refused', async () => {
    await using canary = await startCanary(() => response('first', { connection: 'close' }))
    let answers = 0
    const zone = (_: string, type: string) => ({
      addresses: type === 'A' ? [answers++ === 0 ? '127.0.0.1' : '127.0.0.2'] : [],
      ttl: 0,
    })
    await using harness = await start({ allow: ['127.0.0.1/32'], zone })
    assert.equal(await harness.get(`http://rebinding.test:${canary.port}/`), 'first')
    await assert.rejects(harness.get(`http://rebinding.test:${canary.port}/`), refused('(127.0.0.2) is loopback'))
    assert.equal(canary.connections, 1)
  })

  it('tries the next address when one refuses the connection', async () => {
    await using origin = await startRawOrigin(() => response('second'))
    const zone = () => ({ addresses: ['127.0.0.2', '127.0.0.1'] }) // the origin listens on the last only
    await using harness = await start({ allow: ['127.0.0.0/8'], zone })
    assert.equal(await harness.get(`http://two.test:${origin.port}/`), 'second')
  })

  it('gives up on a handshake that does not end', async () => {
    await using silent = await startRawOrigin(() => undefined)
    await using harness = await start({ allow: ['127.0.0.0/8'], connectTimeoutMs: 200 })
    const begun = performance.now()
    await assert.rejects(harness.get(`https://127.0.0.1:${silent.port}/`), {
      code: 'connect.timeout',
      message: 'no connection to 127.0.0.1 within 200 ms',
      retriable: true,
    })
    assert.ok(performance.now() - begun < 1000)
    await silent.idle()
  })

  it('counts the wait for DNS as part of it, and says so', async () => {
    await using harness = await start({ connectTimeoutMs: 200, zone: () => undefined })
    await assert.rejects(harness.get('http://silent.test/'), {
      code: 'dns.timeout',
      message: 'DNS did not answer for silent.test within 200 ms',
    })
  })

  it('speaks TLS with the name in the URL, and checks the certificate against it', async () => {
    await using certificates = await makeCertificates()
    await using origin = await startRawOrigin(() => response('secret'), certificates.good)
    const zone = () => ({ addresses: ['127.0.0.1'] })
    await using harness = await start({ allow: ['127.0.0.1/32'], zone, ca: certificates.ca })
    assert.equal(await harness.get(`https://good.test:${origin.port}/`), 'secret')
    assert.equal(await harness.get(origin.url), 'secret')
    await assert.rejects(harness.get(`https://bad.test:${origin.port}/`), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  })

  it('trusts no authority that Node does not know', async () => {
    await using certificates = await makeCertificates()
    await using origin = await startRawOrigin(() => response('secret'), certificates.good)
    await using harness = await start({ allow: ['127.0.0.1/32'] })
    await assert.rejects(harness.get(origin.url), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  })

  it('lets callbacks reach private services, but not the metadata of the cloud', async () => {
    await using origin = await startRawOrigin(() => response('received'))
    await using harness = await start({ policy: 'callbacks', zone: () => ({ addresses: ['169.254.169.254'] }) })
    assert.equal(await harness.get(origin.url), 'received')
    await assert.rejects(
      harness.get('http://169.254.169.254/latest/meta-data/'),
      refused('169.254.169.254 is a cloud metadata address'),
    )
    await assert.rejects(harness.get('http://[fe80::1]/'), refused('link-local'))
    await assert.rejects(harness.get('http://metadata.test/'), refused('metadata.test (169.254.169.254) is a cloud'))
  })

  it('uses the hosts file of the machine', async () => {
    await using origin = await startRawOrigin(() => response('by file'))
    const dir = await mkdtemp(path.join(tmpdir(), 'agent-'))
    const hostsFile = path.join(dir, 'hosts')
    await writeFile(hostsFile, '127.0.0.1 known.test\n')
    const agent = guardedAgent({
      guard: addressGuard('callbacks', []),
      resolver: resolver({ servers: ['127.0.0.1:9'], hostsFile }),
      connectTimeoutMs: 2000,
    })
    try {
      const { body } = await request(`http://known.test:${origin.port}/`, { dispatcher: agent })
      assert.equal(await body.text(), 'by file')
    } finally {
      await agent.destroy()
      await rm(dir, { recursive: true })
    }
  })
})
