import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import { type Certificates, type Identity, makeCertificates } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { startReceiver } from '../support/http-receiver.ts'
import { freePort, startRedis, type TestRedis } from '../support/redis.ts'
import { ask, startRole, startService } from '../support/service.ts'

describe('a deployment', () => {
  let origin: Origin
  let dir: string
  before(async () => {
    origin = await startOrigin()
    dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-deployment-'))
  })
  after(async () => {
    await origin[Symbol.asyncDispose]()
    await rm(dir, { recursive: true, force: true })
  })

  const download = { aggr_id: 'a', aggr_limit: 1, callback_type: 'http' }

  it('takes user, password and database from redis.url, and keeps to its key_prefix', async () => {
    await using redis = await startRedis()
    // whoever uses a key or a channel without the prefix is refused
    await redis.cli('ACL', 'SETUSER', 'us/er', 'on', '>p@ss:w%rd', '~{shop}:*', '&{shop}:*', '+@all')
    const url = `redis://us%2Fer:p%40ss%3Aw%25rd@${redis.addr}/5`
    await using service = await startService({
      roles: ['start'],
      redis,
      config: { redis: { addr: 'nowhere.invalid:1', url, key_prefix: 'not this' } },
      env: { DOWNLOADER_REDIS__KEY_PREFIX: 'shop' }, // the environment wins
    })
    assert.equal((await service.download({ url: origin.on('/file', 'content') })).success, true)
    assert.equal((await service.get('/stats/notifier')).status, 200)
    assert.match(await redis.cli('INFO', 'keyspace'), /^db5:/m)
    assert.equal(await redis.cli('DBSIZE'), '0')
    assert.ok(!JSON.stringify(service.role('start').logs).includes('p@ss'))
  })

  it('talks to Redis over a unix socket', async () => {
    const socket = path.join(dir, 'redis.sock')
    await using redis = await startRedis({ args: ['--unixsocket', socket] })
    const config = { redis: { addr: undefined, url: `unix://${socket}` } }
    await using service = await startService({ redis, config })
    assert.equal((await service.download({ url: origin.on('/file', 'content') })).success, true)
    const connected = (await redis.cli('CLIENT', 'LIST')).split('\n').filter((line) => line.includes(socket))
    assert.ok(connected.length >= 3, `${connected.length} connections`)
  })

  describe('over TLS', () => {
    let certificates: Certificates
    before(async () => {
      certificates = await makeCertificates()
    })
    after(() => certificates[Symbol.asyncDispose]())

    it('trusts Redis where NODE_EXTRA_CA_CERTS does, by name and by address', async () => {
      await using redis = await startRedis()
      await using relay = await startTlsRelay(redis.port, certificates.good)
      const env = { NODE_EXTRA_CA_CERTS: certificates.caFile }
      for (const host of ['localhost', '127.0.0.1']) {
        const config = { redis: { addr: undefined, url: `rediss://${host}:${relay.port}` } }
        await using service = await startService({ roles: ['start'], redis, config, env })
        assert.equal((await service.download({ url: origin.on('/file', 'content') })).success, true, host)
        assert.equal(service.role('start').stderr(), '', 'no warning of Node')
      }
    })

    it('does not trust Redis otherwise', async () => {
      await using redis = await startRedis()
      const refused = async (identity: Identity, env: NodeJS.ProcessEnv) => {
        await using relay = await startTlsRelay(redis.port, identity)
        const config = { redis: { addr: undefined, url: `rediss://localhost:${relay.port}` } }
        await using service = await startService({ roles: ['api'], redis, config, env })
        const job = { ...download, url: 'http://origin.test', callback_dst: 'http://receiver.test' }
        assert.equal((await service.post('/download', job)).status, 503)
      }
      await Promise.all([
        refused(certificates.good, {}),
        refused(certificates.otherHost, { NODE_EXTRA_CA_CERTS: certificates.caFile }),
      ])
    })
  })

  describe('on a Redis Cluster', () => {
    let redis: TestRedis
    before(async () => {
      const bus = ['--cluster-port', String(await freePort())] // the default, 10000 above the other, may not exist
      redis = await startRedis({
        args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', ...bus],
      })
      await redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
      await eventually(async () => assert.match(await redis.cli('CLUSTER', 'INFO'), /cluster_state:ok/))
    })
    after(() => redis[Symbol.asyncDispose]())

    it('lives as on any other', async () => {
      const config = { redis: { addr: undefined, cluster: [redis.addr] }, notifier: { deletion_interval: 0 } }
      await using service = await startService({ redis, config })
      const { success, job_id } = await service.download({ url: origin.on('/file', 'content') })
      assert.equal(success, true)
      await eventually(async () => assert.equal((await service.post(`/retry/${job_id}`)).status, 404))
      assert.equal((await service.get('/stats/processor')).status, 200)
    })

    it('takes TLS, user and password from redis.url, whose host is ignored', async () => {
      await using certificates = await makeCertificates()
      await using relay = await startTlsRelay(redis.port, certificates.good)
      await redis.cli('ACL', 'SETUSER', 'worker', 'on', '>secret', '~*', '&*', '+@all')
      await redis.cli('CONFIG', 'SET', 'cluster-announce-port', String(relay.port))
      const url = 'rediss://worker:secret@ignored.invalid'
      const config = { redis: { addr: undefined, url, cluster: [`127.0.0.1:${relay.port}`] } }
      const env = { NODE_EXTRA_CA_CERTS: certificates.caFile }
      await using service = await startService({ roles: ['start'], redis, config, env })
      assert.equal((await service.download({ url: origin.on('/file', 'content') })).success, true)
      const users = (await redis.cli('CLIENT', 'LIST')).matchAll(/ user=(\S+)/g)
      assert.ok([...users].filter(([, user]) => user === 'worker').length >= 3)
    })

    it('reaches over TLS the nodes whose certificates have the names that they announce, and no addresses', async () => {
      await using certificates = await makeCertificates()
      await using relay = await startTlsRelay(redis.port, certificates.byName)
      for (const [name, value] of [
        ['cluster-announce-port', String(relay.port)],
        ['cluster-announce-hostname', 'localhost'],
        ['cluster-preferred-endpoint-type', 'hostname'],
      ] as const) {
        await redis.cli('CONFIG', 'SET', name, value)
      }
      const config = { redis: { addr: undefined, url: 'rediss://ignored', cluster: [`localhost:${relay.port}`] } }
      const env = { NODE_EXTRA_CA_CERTS: certificates.caFile }
      await using service = await startService({ roles: ['start'], redis, config, env })
      assert.equal((await service.download({ url: origin.on('/file', 'content') })).success, true)
    })
  })

  it('needs no environment at all', async () => {
    await using service = await startService({ roles: ['api'] })
    for (const name of ['processor', 'notifier']) {
      const role = startRole([name, '-c', service.configFile], { env: {} })
      service.roles.push(role)
      await role.logged(({ msg }) => msg === `${name} started`)
    }
    assert.equal((await service.download({ url: origin.on('/file', 'content') })).success, true)
    const api = startRole(['api', '-c', service.configFile], { env: {} })
    service.roles.push(api)
    const { url } = await api.logged(({ msg }) => msg === 'listening')
    assert.equal((await ask('GET', `${url}/stats/processor`)).status, 200)
    for (const role of service.roles) assert.equal(await role.end('SIGINT'), 0, role.name)
    for (const args of [['version'], ['--help']]) assert.equal(await startRole(args, { env: {} }).ended, 0)
  })

  it('lives beside another in the same Redis, without seeing it', async () => {
    await using redis = await startRedis()
    await using first = await startService({ roles: ['api'], redis, config: { redis: { key_prefix: 'first' } } })
    await using second = await startService({ roles: ['start'], redis, config: { redis: { key_prefix: 'second' } } })
    await first.enqueue({ url: origin.on('/file', 'content'), aggr_id: 'of the first' })
    assert.equal((await second.download({ url: origin.on('/file', 'content') })).success, true)
    assert.deepEqual(await (await second.get('/dashboard/aggregations')).json(), [])
    const pending = await (await first.get('/dashboard/aggregations')).json()
    assert.deepEqual(pending, [{ name: 'jobs:of the first', size: 1 }])
    assert.equal((await first.get('/stats/processor')).status, 404)
  })

  it('with a configuration that names no Redis runs a private one', async () => {
    const folder = await mkdtemp(path.join(dir, 'private-'))
    const file = path.join(folder, 'mine.json')
    const root = path.join(folder, 'elsewhere')
    const processor = { filestorage: { type: 'filesystem', rootdir: root }, storage_dir: path.join(folder, 'temp') }
    await writeFile(
      file,
      JSON.stringify({ api: { port: 0 }, processor: { ...processor, allow_networks: ['127.0.0.1'] } }),
    )
    await using receiver = await startReceiver()
    const role = startRole(['start', '-c', file], { cwd: folder })
    try {
      const { url } = await role.logged(({ msg }) => msg === 'listening')
      const body = { ...download, url: origin.on('/file', 'content'), callback_dst: receiver.url }
      const response = await ask('POST', `${url}/download`, body)
      const { id } = (await response.json()) as { id: string }
      assert.equal((await receiver.callbackOf(id)).success, true)
      assert.ok(existsSync(path.join(root, id.slice(0, 3), id)))
      assert.ok(existsSync(path.join(folder, 'data', 'redis')))
      assert.ok(role.stdout().includes(root) && role.stdout().includes(path.join(folder, 'data', 'redis')))
    } finally {
      assert.equal(await role.end(), 0)
    }
  })
})

/** Ends TLS in front of a server of this machine. */
async function startTlsRelay(port: number, identity: Identity) {
  const sockets = new Set<{ destroy(): void }>()
  const server = tls.createServer(identity, (near) => {
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => {}).on('close', () => to.destroy())
      from.pipe(to)
    }
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
