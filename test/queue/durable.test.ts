import assert from 'node:assert/strict'
import { durableWrites } from '../../src/queue/durable.ts'
import { complaintsOf, examineRedis } from '../../src/queue/examine.ts'
import { queueOf } from '../../src/queue/queue.ts'
import { connect } from '../../src/queue/redis.ts'
import { never, openQueue, recordingLog, request, type TestQueue, until } from '../support/queue.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

const fast = ['--repl-diskless-sync-delay', '0']
const settings = { key_prefix: 'test' }

describe('a job that is to be on a replica before it is accepted', () => {
  let master: TestRedis
  let replica: TestRedis
  let q: TestQueue
  before(async () => {
    master = await startRedis({ args: fast })
    replica = await startRedis({ args: [...fast, '--replicaof', '127.0.0.1', String(master.port)] })
    q = openQueue(master)
    await until('the replica follows', async () => /master_link_status:up/.test(await replica.cli('INFO')))
  })
  after(async () => {
    await q[Symbol.asyncDispose]()
    await replica[Symbol.asyncDispose]()
    await master[Symbol.asyncDispose]()
  })
  // as long as a busy machine may take, where the test is not about what comes too late
  const durable = (waitMs = 10_000) =>
    queueOf(q.redis, q.keys, durableWrites(q.redis, { ...q.config, wait_replicas: 1 }, waitMs))

  it('is there when it is accepted, many at once', async () => {
    const queue = durable()
    const ids = await Promise.all(Array.from({ length: 1200 }, () => queue.add(request())))
    const onReplica = async (id: string) => (await replica.cli('EXISTS', q.keys.request(id))) === '1'
    for (const id of [ids[0], ids[500], ids[1199]]) assert.ok(await onReplica(id ?? ''))
    assert.equal(new Set(ids).size, 1200)
  })

  it('shares a wait with the jobs that come meanwhile', async () => {
    const waits = async () =>
      Number(/cmdstat_wait:calls=(\d+)/.exec(await master.cli('INFO', 'commandstats'))?.[1] ?? 0)
    const before = await waits()
    const queue = durable()
    await Promise.all(Array.from({ length: 300 }, () => queue.add(request())))
    assert.ok((await waits()) - before <= 3)
  })

  it('is accepted also when Redis has forgotten the script', async () => {
    const queue = durable()
    await queue.add(request())
    await master.cli('SCRIPT', 'FLUSH')
    const id = await queue.add(request())
    assert.equal(await replica.cli('EXISTS', q.keys.request(id)), '1')
  })

  it('is not accepted while the replica is away, and is again when it is back', async () => {
    const queue = durable(500)
    replica.pause()
    await assert.rejects(queue.add(request()), /on 0 of 1 replicas \(redis\.wait_replicas\)/)
    await assert.rejects(queue.probe(), /on 0 of 1 replicas/)
    replica.resume()
    await until('jobs are accepted', () => queue.add(request()).then(Boolean, () => false))
  })
})

describe('a job with an idempotency key', () => {
  it('is not accepted by another connection either, while it is not on a replica', async () => {
    await using master = await startRedis({ args: fast })
    await using replica = await startRedis({ args: [...fast, '--replicaof', '127.0.0.1', String(master.port)] })
    await using q = openQueue(master)
    await until('the replica follows', async () => /master_link_status:up/.test(await replica.cli('INFO')))
    const config = { ...q.config, wait_replicas: 1 }
    const others = [1, 2].map(() => connect(q.config, 'patient', q.log))
    const [one, two] = others.map((redis) => queueOf(redis, q.keys, durableWrites(redis, config, 500)))
    assert.ok(one && two)
    // what it wrote before is on the replica, and its next wait must not be over with that
    const [, connection = q.redis] = others
    await queueOf(connection, q.keys, durableWrites(connection, config, 10_000)).add(request())
    const job = { request: request(), idempotencyKey: 'key' }
    replica.pause()
    await assert.rejects(one.accept([job]), /on 0 of 1 replicas/)
    await assert.rejects(two.accept([job]), /on 0 of 1 replicas/)
    replica.resume()
    await until('it is accepted', () => two.accept([job]).then(Boolean, () => false))
    assert.equal((await q.check()).totals.get('accepted'), 2)
    for (const redis of others) redis.disconnect()
  })
})

describe('a job that is to be in the append-only file before it is accepted', () => {
  it('is not accepted by a Redis that cannot say so', async () => {
    await using server = await startRedis({ appendonly: 'always' })
    await using q = openQueue(server)
    const version = Number.parseFloat(/redis_version:(\S+)/.exec(await server.cli('INFO'))?.[1] ?? '')
    const added = queueOf(q.redis, q.keys, durableWrites(q.redis, { ...q.config, wait_aof: true })).add(request())
    if (version >= 7.2) assert.ok(await added)
    else await assert.rejects(added, /unknown command 'WAITAOF'/i)
  })
})

describe('a Redis', () => {
  const good = 'redis_version:7.0.15\r\naof_enabled:1\r\nmaxmemory_policy:noeviction\r\nconnected_slaves:1\r\n'

  it('that keeps everything is not complained about', () => {
    assert.deepEqual(complaintsOf(good, settings), [])
    assert.deepEqual(complaintsOf(good, { ...settings, wait_replicas: 1 }), [])
    assert.deepEqual(complaintsOf(good.replace('7.0.15', '7.2.4'), { ...settings, wait_aof: true }), [])
  })

  for (const [fault, info, config, complaint] of [
    ['is too old', good.replace('7.0.15', '5.0.3'), {}, /^Redis 5\.0\.3 is too old/],
    ['keeps no append-only file', good.replace('aof_enabled:1', 'aof_enabled:0'), {}, /appendonly no/],
    ['evicts', good.replace('noeviction', 'allkeys-lru'), {}, /maxmemory-policy allkeys-lru/],
    ['has too few replicas', good, { wait_replicas: 2 }, /has 1 replicas, and redis\.wait_replicas is 2/],
    ['does not know WAITAOF', good, { wait_aof: true }, /redis\.wait_aof needs Redis 7\.2/],
  ] as const) {
    it(`that ${fault} is complained about`, () => {
      assert.match(complaintsOf(info, { ...settings, ...config }).join('\n'), complaint)
    })
  }

  it('is examined when it comes, and complained about in the log', async () => {
    await using server = await startRedis({ args: ['--maxmemory-policy', 'volatile-lru'] })
    await server.kill()
    const { log, logged } = recordingLog()
    const examined = examineRedis({ addr: server.addr, ...settings }, log, never)
    await server.start()
    await examined
    const warnings = logged.filter(({ level }) => level === 40).map(({ msg }) => msg)
    assert.equal(warnings.length, 2)
    assert.match(String(warnings[0]), /appendonly no/)
    assert.match(String(warnings[1]), /volatile-lru/)
  })

  it('that never comes holds nothing up', async () => {
    const stop = new AbortController()
    const { log } = recordingLog()
    const examined = examineRedis({ addr: '127.0.0.1:1', ...settings }, log, stop.signal)
    stop.abort()
    await examined
  })
})

describe('an impatient client that waits for replicas', () => {
  it('says within a second or so that they do not come', async () => {
    await using server = await startRedis()
    const { log } = recordingLog()
    const redis = connect({ addr: server.addr, ...settings }, 'impatient', log)
    await until('it is connected', () => redis.status === 'ready')
    const begin = performance.now()
    await assert.rejects(durableWrites(redis, { ...settings, wait_replicas: 1 })('touch', 'x'), /on 0 of 1 replicas/)
    assert.ok(performance.now() - begin < 2000)
    redis.disconnect()
  })
})
