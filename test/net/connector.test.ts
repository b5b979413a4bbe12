import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { JobError } from '../../src/jobs/errors.ts'
import { addressGuard } from '../../src/net/address-guard.ts'
import { guardedConnector } from '../../src/net/connector.ts'
import { knownAddresses, type ResolvedAddress, type Resolver } from '../../src/net/resolver.ts'
import { startBlackHole } from '../support/black-hole.ts'
import { response, startCanary, startRawOrigin } from '../support/origin.ts'
import { recordConnections } from './recording.ts'

/** Where names lead; nobody is asked. */
const names: Record<string, ResolvedAddress[]> = {
  'public.test': [
    { address: '93.184.216.34', family: 4 },
    { address: '2606:2800:220:1::1', family: 6 },
  ],
  'half.test': [
    { address: '93.184.216.34', family: 4 },
    { address: '10.0.0.1', family: 4 },
  ],
  'hidden.test': [
    { address: '93.184.216.34', family: 4 },
    { address: '::ffff:a00:1', family: 6 },
  ],
  'here.test': [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ],
  'scoped.test': [{ address: 'fe80::1%eth0', family: 6 }],
}
const resolver: Resolver = { resolve: async (host) => knownAddresses(host) ?? names[host] ?? [], close() {} }

function connect(text: string, guard = addressGuard('downloads', [])): Promise<Socket> {
  const { hostname, protocol, port, host } = new URL(text)
  const connector = guardedConnector({ guard, resolver, connectTimeoutMs: 2000 })
  const target = { hostname: hostname.replace(/^\[|\]$/g, ''), host, protocol, port }
  return new Promise((resolve, reject) =>
    connector(target, (...[error, socket]) => (error === null ? resolve(socket) : reject(error))),
  )
}

const code = (expected: string) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, expected, String(error))
  if (error instanceof JobError) assert.equal(error.retriable, false)
  return true
}

describe('the guarded connector', () => {
  it('connects to every address of a name, when all of them are public', async () => {
    using recording = recordConnections()
    await assert.rejects(connect('http://public.test/'), code('ENETUNREACH'))
    assert.deepEqual(recording.targets, ['93.184.216.34:80', '2606:2800:220:1::1:80'])
  })

  it('connects to a public address in a URL', async () => {
    for (const [url, target] of [
      ['http://93.184.216.34/', '93.184.216.34:80'],
      ['http://93.184.216.34:8080/', '93.184.216.34:8080'],
      ['http://1572395042/', '93.184.216.34:80'],
      ['http://[2606:2800:220:1::1]/', '2606:2800:220:1::1:80'],
      ['http://[64:ff9b::5db8:d822]/', '64:ff9b::5db8:d822:80'],
    ] as const) {
      using recording = recordConnections()
      await assert.rejects(connect(url), code('ENETUNREACH'))
      assert.deepEqual(recording.targets, [target])
    }
  })

  it('connects to none of the addresses of a name of which one is refused', async () => {
    using recording = recordConnections()
    for (const host of ['half.test', 'hidden.test', 'scoped.test']) {
      await assert.rejects(connect(`http://${host}/`), code('guard.private_address'))
    }
    assert.deepEqual(recording.targets, [])
  })

  it('is not held up by an address of IPv6 that never answers', async () => {
    await using origin = await startRawOrigin(() => response('there'))
    const hasIpv6 = networkInterfaces().lo?.some(({ address }) => address === '::1') // elsewhere nobody is there at all
    await using hole = hasIpv6 ? await startBlackHole('::1', origin.port) : undefined
    const begun = performance.now()
    const socket = await connect(`http://here.test:${origin.port}/`, addressGuard('downloads', ['127.0.0.1', '::1']))
    const took = performance.now() - begun
    assert.equal(socket.remoteAddress, '127.0.0.1')
    assert.ok(took >= (hole ? 240 : 0) && took < 1500, `${took} ms`)
    socket.destroy()
  })

  it('sends no packet to an address that is refused, nor to the one beside it that is not', async () => {
    await using canary = await startCanary()
    for (const allowed of ['127.0.0.1', '::1']) {
      const guard = addressGuard('downloads', [allowed])
      await assert.rejects(connect(`http://here.test:${canary.port}/`, guard), code('guard.private_address'))
    }
    assert.equal(canary.connections, 0)
  })

  it('connects to no address in a URL that is not public, in whatever form', async () => {
    using recording = recordConnections()
    for (const host of [
      ...['10.0.0.1', '172.16.5.5', '192.168.1.1', '100.64.0.1', '198.18.0.1', '192.0.2.1', '203.0.113.7', '224.0.0.1'],
      ...['169.254.169.254', '2852039166', '0xa9fea9fe', '0251.0376.0251.0376', '169.254.43518', '１６９.254.169.254'],
      ...['%31%36%39.254.169.254', '169。254。169。254', '168.63.129.16', '255.255.255.255', '0'],
      ...['[fe80::1]', '[fd00::1]', '[ff02::1]', '[::]', '[::10.0.0.1]', '[::ffff:10.0.0.1]', '[::ffff:0:10.0.0.1]'],
      ...['[64:ff9b::a00:1]', '[64:ff9b:1::a00:1]', '[2002:a00:1::]', '[2001::a00:1]', '[2606:4700::5efe:a00:1]'],
      ...['[2001:db8::1]', '[2001:2::1]', '[fec0::1]', '[4000::1]'],
    ]) {
      for (const scheme of ['http', 'https']) {
        await assert.rejects(connect(`${scheme}://${host}/`), code('guard.private_address'), host)
      }
    }
    assert.deepEqual(recording.targets, [])
  })

  it('connects to no port of another service, before it asks for the name', async () => {
    using recording = recordConnections()
    for (const [url, text] of [
      ['http://93.184.216.34:25/', '25 of 93.184.216.34 is the port of SMTP'],
      ['https://public.test:22/', '22 of public.test is the port of SSH'],
      ['http://unknown.test:6379/', '6379 of unknown.test is the port of Redis'],
      ['http://public.test:0/', '0 of public.test is'],
    ] as const) {
      const error: unknown = await connect(url).catch((error: unknown) => error)
      assert.ok(error instanceof JobError && error.code === 'guard.port', String(error))
      assert.ok(error.message.startsWith(`refused port: ${text}`), error.message)
    }
    assert.deepEqual(recording.targets, [])
  })

  it('connects to a port that is allowed', async () => {
    using recording = recordConnections()
    await assert.rejects(
      connect('http://public.test:6000/', addressGuard('downloads', [], [6000])),
      code('ENETUNREACH'),
    )
    assert.equal(recording.targets[0], '93.184.216.34:6000')
  })

  it('says nothing on a socket that ended up elsewhere than it was told', async () => {
    await using canary = await startRawOrigin(() => 'caught')
    using _recording = recordConnections(canary.port)
    await assert.rejects(connect('http://93.184.216.34/'), code('guard.private_address'))
    await canary.idle()
    assert.deepEqual([canary.connections, canary.heads], [1, []])
  })
})
