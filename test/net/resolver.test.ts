import assert from 'node:assert/strict'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { JobError } from '../../src/jobs/errors.ts'
import { type ResolverOptions, resolver } from '../../src/net/resolver.ts'
import { type DnsAnswer, startDns } from './dns-server.ts'

type Zone = (name: string, type: 'A' | 'AAAA') => DnsAnswer | undefined

describe('the resolver', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'resolver-'))
  })
  after(() => rm(dir, { recursive: true }))

  /** A file of this content. */
  async function file(name: string, content: string): Promise<string> {
    const where = path.join(dir, name)
    await writeFile(where, content)
    return where
  }
  const sources = (list: string) =>
    file(`nsswitch-${list}`.replace(/\W+/g, '-'), `# sources\npasswd: files\nhosts: ${list} # in this order\n`)

  /** With a DNS server of its own, and no system behind it that could ask anybody else. */
  async function start(zone: Zone, options: ResolverOptions = {}) {
    const dns = await startDns(zone)
    const asked: string[] = []
    const systemLookup = async (host: string) => {
      asked.push(host)
      return []
    }
    const under = resolver({
      servers: [dns.address],
      hostsFile: '/dev/null',
      resolvConf: '/dev/null',
      nsswitchConf: await sources('files resolve dns'),
      systemLookup,
      ...options,
    })
    return {
      dns,
      asked,
      close: under.close,
      resolve: async (host: string) => (await under.resolve(host)).map(({ address }) => address),
      async [Symbol.asyncDispose]() {
        under.close()
        await dns[Symbol.asyncDispose]()
      },
    }
  }

  const fails = (code: string, text: string) => (error: unknown) => {
    assert.ok(error instanceof JobError, String(error))
    assert.equal(error.code, code)
    assert.ok(error.message.includes(text), error.message)
    assert.equal(error.retriable, true)
    return true
  }

  it('finds the addresses of both families, IPv4 first', async () => {
    await using harness = await start(() => ({ addresses: ['2001:db8::1', '192.0.2.1', '192.0.2.2'] }))
    assert.deepEqual(await harness.resolve('both.test'), ['192.0.2.1', '192.0.2.2', '2001:db8::1'])
  })

  it('finds a name that has only IPv6', async () => {
    await using harness = await start(() => ({ addresses: ['2001:db8::1'] }))
    assert.deepEqual(await harness.resolve('six.test'), ['2001:db8::1'])
  })

  it('takes an address for itself, without asking', async () => {
    await using harness = await start(() => ({ rcode: 3 }))
    assert.deepEqual(await harness.resolve('192.0.2.7'), ['192.0.2.7'])
    assert.deepEqual(await harness.resolve('[2001:db8::7]'), ['2001:db8::7'])
    assert.deepEqual(harness.dns.queries, [])
  })

  it('knows localhost, and that .invalid exists nowhere, without asking', async () => {
    await using harness = await start(() => ({ addresses: ['192.0.2.1'] }))
    assert.deepEqual(await harness.resolve('localhost'), ['127.0.0.1', '::1'])
    assert.deepEqual(await harness.resolve('api.LOCALHOST.'), ['127.0.0.1', '::1'])
    await assert.rejects(harness.resolve('nowhere.invalid'), fails('dns.not_found', 'nowhere.invalid'))
    assert.deepEqual(harness.dns.queries, [])
  })

  it('prefers the hosts file, and reads it again when it has changed', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'resolver-'))
    try {
      const hostsFile = path.join(dir, 'hosts')
      await writeFile(
        hostsFile,
        '# hosts\n192.0.2.1  One.test alias # comment\n2001:db8::1 one.test\nnonsense one.test\n',
      )
      await using harness = await start(() => ({ rcode: 3 }), { hostsFile })
      assert.deepEqual(await harness.resolve('one.test'), ['192.0.2.1', '2001:db8::1'])
      assert.deepEqual(await harness.resolve('ALIAS'), ['192.0.2.1'])

      await writeFile(hostsFile, '192.0.2.99 one.test\n')
      const deadline = performance.now() + 5000
      while ((await harness.resolve('one.test'))[0] !== '192.0.2.99') {
        assert.ok(performance.now() < deadline, 'the change was not seen')
        await turn()
      }
      assert.deepEqual(harness.dns.queries, [])
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('asks the system about a name that DNS does not know, and then says which it is', async () => {
    await using harness = await start(() => ({ rcode: 3 }))
    await assert.rejects(harness.resolve('gone.test'), fails('dns.not_found', 'gone.test'))
    assert.deepEqual(harness.asked, ['gone.test'])
  })

  it('uses what the system finds: search domains, mDNS', async () => {
    const systemLookup = async () => [{ address: '192.0.2.5', family: 4 as const }]
    await using harness = await start(() => ({ rcode: 3 }), { systemLookup })
    assert.deepEqual(await harness.resolve('minio'), ['192.0.2.5'])
    await harness.resolve('minio')
    assert.equal(harness.dns.queries.length, 2, 'the second answer came from the cache')
  })

  it('asks the system when DNS refuses to talk to us', async () => {
    await using harness = await start(() => ({ rcode: 5 }))
    await assert.rejects(harness.resolve('refused.test'), fails('dns.failed', 'refused.test failed: EREFUSED'))
    assert.deepEqual(harness.asked, ['refused.test'])
  })

  it('says that a name exists and has no address, once the system knows none either', async () => {
    await using harness = await start(() => ({ addresses: [] }))
    await assert.rejects(harness.resolve('mail-only.test'), fails('dns.no_address', 'mail-only.test'))
    assert.deepEqual(harness.asked, ['mail-only.test'])
  })

  for (const [what, name] of [
    ['an empty label', 'a..test'],
    ['nothing in front of its dot', '.test'],
    ['no label at all', '.'],
    ['a label of 64 bytes', `${'a'.repeat(64)}.test`],
    ['254 bytes', `${'a.'.repeat(125)}test`],
  ] as const) {
    it(`asks nobody about a name with ${what}`, async () => {
      await using harness = await start(() => ({ addresses: ['192.0.2.1'] }))
      await assert.rejects(harness.resolve(name), { code: 'dns.bad_name', retriable: false })
      assert.deepEqual([harness.asked, harness.dns.queries], [[], []])
    })
  }

  it('asks about the longest name that there can be, and about one with any character', async () => {
    await using harness = await start(() => ({ addresses: ['192.0.2.1'] }))
    const longest = `${`${'a'.repeat(63)}.`.repeat(3)}${'b'.repeat(61)}`
    for (const name of [longest, `${longest}.`, 'under_score.test', '-dash.test']) {
      assert.deepEqual(await harness.resolve(name), ['192.0.2.1'])
    }
  })

  it('says that DNS failed, and leaves the system alone', async () => {
    await using harness = await start(() => ({ rcode: 2 }))
    await assert.rejects(harness.resolve('broken.test'), fails('dns.failed', 'broken.test'))
    assert.deepEqual(harness.asked, [])
  })

  const strange: [what: string, answer: DnsAnswer, code: string, text: string][] = [
    ['says that the query is wrong', { rcode: 1 }, 'dns.failed', 'EFORMERR'],
    ['does not do what is asked', { rcode: 4 }, 'dns.failed', 'ENOTIMP'],
    ['sends garbage', { garbage: Buffer.alloc(40, 0xff) }, 'dns.failed', 'EBADRESP'],
    ['cuts its answer off', { garbage: Buffer.from([0xc0]) }, 'dns.failed', 'EBADRESP'],
    ['points at itself', { garbage: Buffer.from('c01e00010001', 'hex') }, 'dns.failed', 'EBADRESP'],
    ['leads in a circle', { aliases: ['b.test', 'strange.test'] }, 'dns.no_address', 'has no address'],
    ['leads to itself', { aliases: ['strange.test'] }, 'dns.no_address', 'has no address'],
    ['leads nowhere', { aliases: ['nowhere.test'] }, 'dns.no_address', 'has no address'],
  ]
  for (const [what, answer, code, text] of strange) {
    it(`says at once what is wrong with a server that ${what}, and holds up no other name`, async () => {
      const zone: Zone = (name) => (name === 'strange.test' ? answer : { addresses: ['192.0.2.1'] })
      await using harness = await start(zone)
      const begun = performance.now()
      const failing = assert.rejects(harness.resolve('strange.test'), fails(code, text))
      assert.deepEqual(await harness.resolve('good.test'), ['192.0.2.1'])
      await failing
      assert.ok(performance.now() - begun < 1000, `${performance.now() - begun} ms`)
    })
  }

  it('finds the addresses behind aliases, however many, and also in a circle', async () => {
    const many = Array.from({ length: 25 }, (_, i) => `alias-${i}.test`)
    for (const aliases of [['b.test'], many, ['b.test', 'alias.test']]) {
      await using harness = await start(() => ({ aliases, addresses: ['192.0.2.1'] }))
      assert.deepEqual(await harness.resolve('alias.test'), ['192.0.2.1'])
    }
  })

  it('waits for a silent server as long as it is told', async () => {
    await using harness = await start(() => undefined, { timeoutMs: 300 })
    const begun = performance.now()
    await assert.rejects(harness.resolve('silent.test'), fails('dns.timeout', '300 ms'))
    assert.ok(performance.now() - begun < 1500)
    assert.deepEqual(harness.asked, [])
  })

  it('does not wait long for a family that never answers', async () => {
    await using harness = await start((_, type) => (type === 'A' ? { addresses: ['192.0.2.1'] } : undefined))
    const begun = performance.now()
    assert.deepEqual(await harness.resolve('half.test'), ['192.0.2.1'])
    assert.ok(performance.now() - begun < 2000)
  })

  it('asks once for many that want the same name', async () => {
    await using harness = await start(() => ({ addresses: ['192.0.2.1'], ttl: 0 }))
    await Promise.all(Array.from({ length: 100 }, () => harness.resolve('popular.test')))
    assert.deepEqual(harness.dns.queries.toSorted(), ['A popular.test', 'AAAA popular.test'])
  })

  it('remembers an answer as long as its records allow', async () => {
    await using harness = await start(() => ({ addresses: ['192.0.2.1'], ttl: 60 }))
    await harness.resolve('kept.test')
    await harness.resolve('KEPT.test.')
    assert.equal(harness.dns.queries.length, 2)
  })

  it('remembers nothing that may not be kept: a name can point elsewhere the next time', async () => {
    let round = 0
    await using harness = await start((_, type) => ({
      addresses: type === 'A' ? [round++ === 0 ? '192.0.2.1' : '127.0.0.1'] : [],
      ttl: 0,
    }))
    assert.deepEqual(await harness.resolve('rebinding.test'), ['192.0.2.1'])
    assert.deepEqual(await harness.resolve('rebinding.test'), ['127.0.0.1'])
  })

  it('remembers no more names than it is told', async () => {
    await using harness = await start(() => ({ addresses: ['192.0.2.1'] }), { cacheSize: 2 })
    for (const name of ['a.test', 'b.test', 'c.test', 'c.test', 'b.test', 'a.test']) await harness.resolve(name)
    const asked = harness.dns.queries.filter((query) => query.startsWith('A '))
    assert.deepEqual(asked, ['A a.test', 'A b.test', 'A c.test', 'A a.test'])
  })

  it('holds up neither files nor other names while 50 names hang', async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'resolver-'))
    try {
      const zone: Zone = (name) => (name.startsWith('slow') ? undefined : { addresses: ['192.0.2.1'] })
      await using harness = await start(zone, { timeoutMs: 5000 })
      let ended = 0
      const hanging = Array.from({ length: 50 }, (_, i) =>
        harness
          .resolve(`slow-${i}.test`)
          .catch(() => {})
          .finally(() => ended++),
      )
      const writes = Array.from({ length: 20 }, async (_, i) => {
        const file = await open(path.join(dir, `${i}`), 'w')
        await file.write('x')
        await file.sync()
        await file.close()
      })
      const names = Array.from({ length: 20 }, (_, i) => harness.resolve(`quick-${i}.test`))
      await Promise.all([...writes, ...names])
      assert.equal(ended, 0, 'all of it was done before the first slow name ended')
      harness.close()
      await Promise.all(hanging)
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  it('says of a name for which the system has no time that it came too late', async () => {
    const systemLookup = () => new Promise<never>(() => {}) // getaddrinfo cannot be interrupted
    await using harness = await start(() => ({ rcode: 3 }), { systemLookup, timeoutMs: 300 })
    const names = Array.from({ length: 20 }, (_, i) => harness.resolve(`local-${i}.test`))
    for (const result of await Promise.allSettled(names)) {
      assert.ok(result.status === 'rejected')
      fails('dns.timeout', '.test within 300 ms')(result.reason)
    }
  })

  for (const [list, known, unknown] of [
    ['files dns', [], ['minio', 'printer.local', 'other.test']],
    ['dns [!UNAVAIL=return] files', [], ['minio', 'printer.local', 'other.test']],
    ['files mdns4_minimal [NOTFOUND=return] dns', ['printer.local'], ['minio', 'other.test', 'notlocal']],
    ['files mymachines dns myhostname', ['minio'], ['printer.local', 'other.test']],
    ['files sss dns', ['minio', 'printer.local', 'other.test'], []],
  ] as const) {
    it(`asks the system only about what its sources may know: ${list}`, async () => {
      await using harness = await start(() => ({ rcode: 3 }), { nsswitchConf: await sources(list) })
      for (const name of [...known, ...unknown]) {
        await assert.rejects(harness.resolve(name), fails('dns.not_found', name))
      }
      assert.deepEqual(harness.asked, known)
    })
  }

  it('asks the system nothing where there is no list of its sources', async () => {
    await using harness = await start(() => ({ rcode: 3 }), { nsswitchConf: path.join(dir, 'absent') })
    await assert.rejects(harness.resolve('minio'), fails('dns.not_found', 'minio'))
    assert.deepEqual(harness.asked, [])
  })

  it('looks for a name that does not exist in the search domains, one after the other', async () => {
    const resolvConf = await file(
      'resolv.conf',
      'domain old.test\nsearch first.test Second.test.  # both\noptions ndots:5\n',
    )
    const zone: Zone = (name) => (name === 'minio.second.test' ? { addresses: ['192.0.2.9'] } : { rcode: 3 })
    await using harness = await start(zone, { resolvConf })
    assert.deepEqual(await harness.resolve('minio'), ['192.0.2.9'])
    const asked = harness.dns.queries.filter((query) => query.startsWith('A '))
    assert.deepEqual(asked, ['A minio', 'A minio.first.test', 'A minio.second.test'])
    await assert.rejects(harness.resolve('absent'), fails('dns.not_found', 'for host absent'))
    assert.deepEqual(harness.asked, ['absent'])
  })

  describe('with names of a stranger, whose servers keep getaddrinfo waiting', () => {
    const LOCAL = { address: '192.0.2.5', family: 4 as const }
    const systemLookup = (host: string) =>
      host.endsWith('.evil.test') ? new Promise<never>(() => {}) : Promise.resolve([LOCAL])

    for (const list of ['files mdns4_minimal [NOTFOUND=return] dns', 'files resolve [!UNAVAIL=return] dns']) {
      it(`still finds at once what only the system knows: ${list}`, async () => {
        const options = { nsswitchConf: await sources(list), systemLookup, timeoutMs: 1000 }
        await using harness = await start(() => ({ rcode: 3 }), options)
        const hostile = Array.from({ length: 50 }, (_, i) => harness.resolve(`${i}.evil.test`).catch(() => {}))
        assert.deepEqual(await harness.resolve('printer.local'), [LOCAL.address])
        await Promise.all(hostile)
      })
    }
  })

  it('finds other names soon while 1,000 names of a stranger are not answered', async () => {
    const zone: Zone = (name) => (name.endsWith('.evil.test') ? undefined : { addresses: ['192.0.2.1'] })
    await using harness = await start(zone)
    const hostile: Promise<unknown>[] = []
    for (let i = 0; i < 1000; i++) {
      hostile.push(harness.resolve(`${i}.evil.test`).catch(() => {}))
      if (i % 10 === 0) await turn() // the server has to read what comes
    }
    const begun = performance.now()
    const good = Array.from({ length: 20 }, (_, i) => harness.resolve(`good-${i}.test`))
    for (const addresses of await Promise.all(good)) assert.deepEqual(addresses, ['192.0.2.1'])
    assert.ok(performance.now() - begun < 2000, `${performance.now() - begun} ms`)
    harness.close()
    await Promise.all(hostile)
  })

  it('ends what is under way when it is closed', async () => {
    await using harness = await start(() => undefined, { timeoutMs: 10_000 })
    const lookup = harness.resolve('silent.test')
    harness.close()
    await assert.rejects(lookup, fails('dns.failed', 'silent.test'))
  })
})
