import assert from 'node:assert/strict'
import { keysOf } from '../../src/queue/keys.ts'
import { queueOf } from '../../src/queue/queue.ts'
import { type Client, connect, promptly, RedisUnavailable } from '../../src/queue/redis.ts'
import { openQueue, queueSuite, recordingLog, request, until } from '../support/queue.ts'
import { startRedis } from '../support/redis.ts'
import { startRelay } from '../support/tcp-relay.ts'

/** A client that goes away with the test. */
function clientOf(addr: string, patience: 'patient' | 'impatient') {
  const { log, logged } = recordingLog()
  const client = connect({ addr, key_prefix: 'test' }, patience, log)
  return { client, logged, [Symbol.dispose]: () => client.disconnect() }
}

const ready = (client: Client) => until('the connection is ready', () => client.status === 'ready')

const answers = (client: Client) =>
  promptly(client, () => client.ping()).then(
    () => true,
    () => false,
  )

/** How long a promise takes to reject with `RedisUnavailable`, in ms. */
async function msUntilUnavailable(result: Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await assert.rejects(result, RedisUnavailable)
  return performance.now() - begin
}

describe('an impatient client', () => {
  it('works as long as Redis does', async () => {
    await using server = await startRedis()
    using impatient = clientOf(server.addr, 'impatient')
    const queue = queueOf(impatient.client, keysOf('test'))
    const id = await promptly(impatient.client, () => queue.add(request()))
    assert.equal((await promptly(impatient.client, () => queue.find(id)))?.id, id)
  })

  it('says within a second that Redis is not there, and finds it when it comes', async () => {
    await using server = await startRedis()
    await server.kill()
    using impatient = clientOf(server.addr, 'impatient')
    const { client } = impatient
    assert.ok((await msUntilUnavailable(promptly(client, () => client.ping()))) < 1100)
    await server.start()
    await until('Redis answers', () => answers(client))
  })

  it('says within a second that Redis was stopped, and works when it is back', async () => {
    await using server = await startRedis()
    using impatient = clientOf(server.addr, 'impatient')
    const { client } = impatient
    await ready(client)
    await server.kill()
    for (let i = 0; i < 2; i++) assert.ok((await msUntilUnavailable(promptly(client, () => client.ping()))) < 1100)
    await server.start()
    await until('Redis answers', () => answers(client))
  })

  it('says within a second that Redis is frozen, to everybody who asks meanwhile', async () => {
    await using server = await startRedis()
    using impatient = clientOf(server.addr, 'impatient')
    const { client } = impatient
    await ready(client)
    server.pause()
    const asked: Promise<number>[] = []
    for (let i = 0; i < 5; i++) {
      asked.push(msUntilUnavailable(promptly(client, () => client.get('x'))))
      await new Promise((resolve) => setTimeout(resolve, 150))
    }
    for (const ms of await Promise.all(asked)) assert.ok(ms < 1100, `${ms} ms`)
    server.resume()
    await until('Redis answers', () => answers(client))
  })

  it('does not send a command later that it has given up', async () => {
    await using server = await startRedis()
    using impatient = clientOf(server.addr, 'impatient')
    const { client } = impatient
    await ready(client)
    await server.kill()
    await assert.rejects(
      promptly(client, () => client.set('x', 1)),
      RedisUnavailable,
    )
    await server.start()
    await until('Redis answers', () => answers(client))
    assert.equal(await server.cli('EXISTS', 'x'), '0')
  })

  it('serves hundreds that wait for Redis at once without a warning of the process', async () => {
    await using server = await startRedis()
    await server.kill()
    using impatient = clientOf(server.addr, 'impatient')
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    const { client } = impatient
    await Promise.all(Array.from({ length: 200 }, () => msUntilUnavailable(promptly(client, () => client.ping()))))
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
    assert.equal(client.listenerCount('ready'), 1)
  })

  it('passes on what Redis really complains about', async () => {
    await using server = await startRedis()
    using impatient = clientOf(server.addr, 'impatient')
    const { client } = impatient
    await promptly(client, () => client.set('x', 'text'))
    await assert.rejects(
      promptly(client, () => client.hget('x', 'y')),
      /WRONGTYPE/,
    )
  })

  it('leaves a connection on which nothing comes any more for a new one', async () => {
    await using server = await startRedis()
    await using relay = await startRelay(server.port)
    using impatient = clientOf(relay.addr, 'impatient')
    const { client } = impatient
    await ready(client)
    relay.hold('both') // as a host that vanished without a word does
    await assert.rejects(
      promptly(client, () => client.ping()),
      RedisUnavailable,
    )
    await until('Redis answers', () => answers(client))
  })
})

describe('a connection on which nothing is asked', () => {
  it('is left for a new one, too, when the other end is gone without a word', async () => {
    await using server = await startRedis()
    await using relay = await startRelay(server.port)
    using impatient = clientOf(relay.addr, 'impatient')
    const { client } = impatient
    await ready(client)
    relay.hold('both')
    await until('it is given up', () => client.status !== 'ready', 6000)
    await ready(client)
  })
})

describe('a patient client', () => {
  it('waits for Redis as long as it takes', async () => {
    await using server = await startRedis()
    await server.kill()
    await using q = openQueue(server)
    let added: string | undefined
    const adding = q.add().then((id) => {
      added = id
    })
    await new Promise((resolve) => setTimeout(resolve, 1500))
    assert.equal(added, undefined)
    await server.start()
    await adding
    const { requests } = await q.check()
    assert.deepEqual([...requests.keys()], [added])
  })

  it('gives up a claim soon after it is told to stop', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    await ready(q.redis)
    await server.kill()
    const stop = new AbortController()
    const claiming = q.room().claim(1, stop.signal)
    stop.abort(new Error('we stop'))
    const begin = performance.now()
    await assert.rejects(claiming, /we stop/)
    assert.ok(performance.now() - begin < 2500)
  })

  it('says once that Redis is away, and once that it is back', async () => {
    await using server = await startRedis()
    using patient = clientOf(server.addr, 'patient')
    const { client, logged } = patient
    await ready(client)
    await server.kill()
    await until('the connection is lost', () => client.status !== 'ready')
    await new Promise((resolve) => client.once('reconnecting', resolve))
    await server.start()
    await ready(client)
    assert.deepEqual(
      logged.map(({ msg }) => msg),
      ['Redis is away', 'Redis is back'],
    )
  })
})

describe('a connection that ioredis has given up for good', () => {
  const { server } = queueSuite()

  it('comes back by itself', async () => {
    using patient = clientOf(server().addr, 'patient')
    const { client } = patient
    await ready(client)
    endForGood(client)
    await until('the connection ended', () => client.status === 'end')
    assert.equal(await onceItAnswers(client), 'PONG')
  })

  it('comes back by itself also after ioredis had asked for a new connection', async () => {
    using patient = clientOf(server().addr, 'patient')
    const { client } = patient
    await ready(client)
    client.disconnect(true) // what ioredis does on READONLY
    await until('the connection is lost', () => client.status !== 'ready')
    await ready(client)
    endForGood(client)
    await until('the connection ended', () => client.status === 'end')
    assert.equal(await onceItAnswers(client), 'PONG')
  })

  it('stays closed when we closed it', async () => {
    using patient = clientOf(server().addr, 'patient')
    const { client } = patient
    await ready(client)
    client.disconnect()
    await until('the connection ended', () => client.status === 'end')
    await new Promise((resolve) => setTimeout(resolve, 1200))
    assert.equal(client.status, 'end')
  })
})

/** Brings a client into the state that ioredis never leaves by itself. */
function endForGood(client: Client): void {
  Object.getPrototypeOf(client).disconnect.call(client)
}

async function onceItAnswers(client: Client): Promise<string> {
  let answer = ''
  await until('Redis answers', async () => {
    answer = await client.ping().catch(() => '')
    return answer !== ''
  })
  return answer
}
