import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Redis } from 'ioredis'
import { type Client, connect } from '../../src/queue/redis.ts'
import { RedisConfig } from '../../src/queue/redis-config.ts'
import { openQueue, recordingLog, type TestQueue, until } from '../support/queue.ts'
import { freePort, startRedis } from '../support/redis.ts'
import { startWorker } from '../support/worker.ts'

/** A job that comes, is tried twice and goes; a job that comes while the worker sleeps. */
async function works(q: TestQueue): Promise<void> {
  await using worker = startWorker(q, {
    async run({ claim: { job } }) {
      return job.attempts === 0 ? { kind: 'download-retry', delayMs: 50 } : { kind: 'deleted' }
    },
  })
  for (let jobs = 1; jobs <= 3; jobs++) {
    await q.add({ aggrId: `group ${jobs}` })
    await until('the job is done', async () => Number(await q.redis.hget(q.keys.totals, 'gone')) === jobs, 3000)
  }
  await worker.stop()
  assert.deepEqual(await q.queue.groups('downloads'), [])
  await q.check()
}

describe('the queue works', () => {
  it('on a cluster, where all its keys are in one slot', async () => {
    const bus = ['--cluster-port', String(await freePort())] // the default, 10000 above the other, may not exist
    await using server = await startRedis({
      args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', ...bus],
    })
    await using q = openQueue(server, { cluster: [server.addr] })
    await until('the log says that the cluster is not there', () => q.logged.length === 2) // both connections
    await server.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    await until('the cluster is ready', async () => /cluster_state:ok/.test(await server.cli('CLUSTER', 'INFO')))
    await works(q)
    const slots = new Set<string>()
    for (const key of Object.keys(await q.contents())) slots.add(await server.cli('CLUSTER', 'KEYSLOT', key))
    assert.equal(slots.size, 1)
  })

  it('over a unix socket', async () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'socket-'))
    const file = path.join(dir, 'redis.sock')
    await using server = await startRedis({ args: ['--unixsocket', file] })
    for (const where of [{ url: `unix://${file}` }, { addr: file }]) {
      await using q = openQueue(server, where)
      await works(q)
    }
    rmSync(dir, { recursive: true })
  })

  it('with a password, in a database of its own', async () => {
    const password = 'pass/word:@#%'
    await using server = await startRedis({ args: ['--requirepass', password] })
    await using q = openQueue(server, { url: `redis://:${encodeURIComponent(password)}@${server.addr}/3` })
    await works(q)
    assert.equal(await q.redis.client('INFO').then((text) => /\bdb=(\d+)/.exec(String(text))?.[1]), '3')
  })

  it('with a user of its own', async () => {
    await using server = await startRedis()
    await server.cli('ACL', 'SETUSER', 'queue', 'on', '>secret', '~*', '&*', '+@all')
    await server.cli('ACL', 'SETUSER', 'default', 'off')
    await using q = openQueue(server, { url: `redis://queue:secret@${server.addr}` })
    await works(q)
  })
})

describe('a wrong password', () => {
  it('is said in the log, and waited for to become right', async () => {
    await using server = await startRedis({ args: ['--requirepass', 'right'] })
    const { log, logged } = recordingLog()
    const client = connect({ url: `redis://:wrong@${server.addr}`, key_prefix: 'test' }, 'patient', log)
    await until('it is logged', () => logged.length > 0)
    assert.match(String(logged[0]?.error), /WRONGPASS/)
    assert.ok(!JSON.stringify(logged).includes('wrong@'))
    const pinged = ping(client)
    const admin = new Redis({ port: server.port, host: '127.0.0.1', password: 'right' })
    await admin.config('SET', 'requirepass', 'wrong')
    admin.disconnect()
    assert.equal(await pinged, 'PONG')
    client.disconnect()
  })
})

describe('where Redis is', () => {
  const complaint = (config: unknown) => RedisConfig.safeParse(config).error?.issues[0]?.message

  it('must be said', () => {
    assert.match(complaint({}) ?? '', /needs addr, url, sentinel or cluster/)
    assert.match(complaint({ sentinel: ['a:1'] }) ?? '', /goes with sentinel/)
    assert.match(complaint({ cluster: ['a'] }) ?? '', /must be host:port/)
    assert.match(complaint({ cluster: ['a:65536'] }) ?? '', /must be host:port/)
    assert.match(complaint({ addr: 'localhost' }) ?? '', /must be host:port, or the path of a unix socket/)
    assert.match(complaint({ addr: 'a:65536' }) ?? '', /must be host:port/)
    assert.match(complaint({ url: 'http://a' }) ?? '', /must begin with/)
    assert.equal(complaint({ url: 'redis://[' }), 'is not a URL')
    for (const url of ['redis://a/abc', 'redis://a/1/2', 'unix:///a?db=x']) {
      assert.match(complaint({ url }) ?? '', /database .* number/, url)
    }
    for (const url of ['redis://:100%@a', 'redis://%zz:b@a', 'unix:///a%']) {
      assert.match(complaint({ url }) ?? '', /%25/, url)
    }
    assert.match(complaint({ addr: 'a:1', key_prefix: 'a{b}' }) ?? '', /braces/)
  })

  it('can be said in many ways', () => {
    for (const config of [
      { addr: 'localhost:6379' },
      { addr: '[::1]:6379' },
      { addr: '/run/redis.sock' },
      { url: 'redis://user:pass@host:1/2' },
      { url: 'rediss://host' },
      { url: 'redis://:100%25@host/' },
      { url: 'unix:///run/redis.sock?db=1' },
      { sentinel: ['a:1', 'b:2'], master_name: 'm', sentinel_password: 's' },
      { cluster: ['a:1', '[::1]:2'] },
    ]) {
      assert.equal(RedisConfig.parse(config).key_prefix, 'downloader')
    }
  })
})

/** A command may be refused while the connection is set up anew: then again. */
async function ping(client: Client): Promise<string> {
  let answer = ''
  await until('Redis answers', async () => {
    answer = await client.ping().catch(() => '')
    return answer !== ''
  })
  return answer
}
