import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import kafkajs from 'kafkajs'
import type { Log } from '../../../src/log.ts'
import { kafkaBackend } from '../../../src/notifier/backends/kafka.ts'
import { KafkaConfig } from '../../../src/notifier/backends/kafka-config.ts'
import { backendConformance, failureOf, forever, newCallback } from '../../conformance/backend.ts'
import { eventually } from '../../support/eventually.ts'
import { kafkaErrors, startKafka } from '../../support/kafka.ts'

const { CompressionCodecs, CompressionTypes } = kafkajs

/** Remembers what was said above debug. */
function newLog() {
  const said: string[] = []
  const say = (...words: unknown[]) => said.push(words.map(String).join(' '))
  const log = { debug() {}, info: say, warn: say, error: say, fatal: say } as unknown as Log
  return { log, said }
}

/** A cluster and a backend for it. */
async function start(options: { brokers?: number } = {}, config: object = {}) {
  const kafka = await startKafka(options)
  const { log, said } = newLog()
  const quick = { 'bootstrap.servers': kafka.bootstrap, 'retry.backoff.ms': 20, ...config }
  const backend = kafkaBackend(KafkaConfig.parse(quick), log)
  return {
    kafka,
    backend,
    said,
    async [Symbol.asyncDispose]() {
      await backend.close()
      await kafka[Symbol.asyncDispose]()
    },
  }
}

backendConformance('kafka', async () => {
  const service = await start()
  const { kafka } = service
  return {
    ...service,
    destination: 'callbacks',
    arrived: async () => (await kafka.messages('callbacks')).map(({ value }) => JSON.parse(value)),
    async troubled() {
      await kafka.setTopicError('troubled', kafkaErrors.unknownTopicOrPartition)
      return 'troubled'
    },
    async hopeless() {
      await kafka.setTopicError('hopeless', kafkaErrors.topicAuthorizationFailed)
      return 'hopeless'
    },
    async silent() {
      await kafka.setDelay(60_000)
      return 'silent'
    },
    goAway: () => kafka.down(),
    comeBack: () => kafka.up(),
  }
})

describe('Kafka callbacks', () => {
  it('have the id of the job as key, so that all attempts of a job come to one partition', async () => {
    await using service = await start()
    const callback = newCallback()
    for (let attempt = 0; attempt < 3; attempt++) await service.backend.deliver('topic', callback, forever())
    const messages = await service.kafka.messages('topic')
    assert.equal(messages.length, 3)
    assert.deepEqual(new Set(messages.map(({ key }) => key)), new Set([callback.job_id]))
    assert.equal(new Set(messages.map(({ partition }) => partition)).size, 1)
  })

  it('are compressed with gzip when asked to', async () => {
    await using service = await start({}, { 'compression.codec': 'gzip' })
    const gzip = CompressionCodecs[CompressionTypes.GZIP]
    let uses = 0
    CompressionCodecs[CompressionTypes.GZIP] = () => {
      uses++
      return gzip()
    }
    const callback = newCallback()
    try {
      await service.backend.deliver('topic', callback, forever())
    } finally {
      CompressionCodecs[CompressionTypes.GZIP] = gzip
    }
    const [message] = await service.kafka.messages('topic')
    assert.deepEqual(JSON.parse(message?.value ?? ''), callback)
    assert.ok(uses > 0)
  })

  for (const acks of ['all', 1, 0]) {
    it(`are delivered with request.required.acks ${JSON.stringify(acks)}`, async () => {
      await using service = await start({}, { 'request.required.acks': acks })
      await service.backend.deliver('topic', newCallback(), forever())
      await eventually(async () => assert.equal((await service.kafka.messages('topic')).length, 1))
    })
  }

  it('go to a cluster of several brokers while one of them is down', async () => {
    await using service = await start({ brokers: 3 })
    await service.kafka.createTopic('topic', 6)
    await service.kafka.down(1)
    const deliver = () => service.backend.deliver('topic', newCallback(), forever())
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, deliver))
    assert.ok(outcomes.some(({ status }) => status === 'fulfilled'))
    await service.kafka.up(1)
    await eventually(() => Promise.all(Array.from({ length: 20 }, deliver)))
  })

  it('to an unknown topic may be tried again, and are delivered once it was created', async () => {
    await using service = await start()
    await service.kafka.setTopicError('later', kafkaErrors.unknownTopicOrPartition)
    const failure = await failureOf(service.backend.deliver('later', newCallback(), forever()))
    assert.equal(failure.code, 'receiver.unknown_topic')
    assert.equal(failure.retriable, true)
    assert.match(failure.message, /topic later does not exist .*may be created/)
    await service.kafka.setTopicError('later', kafkaErrors.none)
    await service.backend.deliver('later', newCallback(), forever())
  })

  it('are delivered while other topics are unknown, were deleted, or have no leader', async () => {
    await using service = await start({}, { 'message.send.max.retries': 0 })
    await service.backend.deliver('good', newCallback(), forever())
    await service.backend.deliver('deleted', newCallback(), forever())
    await service.kafka.setTopicError('deleted', kafkaErrors.unknownTopicOrPartition)
    await service.kafka.setTopicError('unknown', kafkaErrors.unknownTopicOrPartition)
    await service.kafka.setTopicError('leaderless', kafkaErrors.leaderNotAvailable)

    const bad = ['unknown', 'leaderless', 'unknown', 'leaderless'].map((topic) =>
      failureOf(service.backend.deliver(topic, newCallback(), forever())),
    )
    // A new topic asks for metadata anew, which on a shared producer would be that of the bad ones too.
    for (let n = 0; n < 20; n++) await service.backend.deliver(n % 2 ? 'good' : `new-${n}`, newCallback(), forever())
    const codes = (await Promise.all(bad)).map(({ code }) => code)
    assert.deepEqual(new Set(codes), new Set(['receiver.unknown_topic', 'receiver.unreachable']))
  })

  it('survive errors that pass: the message is sent again at once', async () => {
    await using service = await start()
    const { notLeader, requestTimedOut, unknownTopicOrPartition } = kafkaErrors
    await service.kafka.failProduce(unknownTopicOrPartition, notLeader, requestTimedOut)
    await service.backend.deliver('topic', newCallback(), forever())
    assert.equal((await service.kafka.messages('topic')).length, 1)
  })

  const answers = [
    // `times` of them: kafkajs itself tries once again when it thinks that this may help
    { error: kafkaErrors.messageTooLarge, times: 1, code: 'receiver.refused', retriable: false, text: /larger than/ },
    {
      error: kafkaErrors.topicAuthorizationFailed,
      times: 1,
      code: 'receiver.refused',
      retriable: false,
      text: /authorized/,
    },
    {
      error: kafkaErrors.unknownServerError,
      times: 1,
      code: 'receiver.unreachable',
      retriable: true,
      text: /unexpected/,
    },
    {
      error: kafkaErrors.unknownTopicOrPartition,
      times: 2,
      code: 'receiver.unknown_topic',
      retriable: true,
      text: /topic-part/,
    },
    { error: kafkaErrors.requestTimedOut, times: 2, code: 'receiver.timeout', retriable: true, text: /timed out/ },
    { error: kafkaErrors.notLeader, times: 2, code: 'receiver.unreachable', retriable: true, text: /not the leader/ },
  ]
  for (const { error, times, code, retriable, text } of answers) {
    it(`fail with ${code} when the broker keeps answering error ${error}`, async () => {
      await using service = await start({}, { retries: 1 })
      await service.backend.deliver('topic', newCallback(), forever())
      await service.kafka.failProduce(...Array(times).fill(error))
      const failure = await failureOf(service.backend.deliver('topic', newCallback(), forever()))
      assert.equal(failure.code, code)
      assert.equal(failure.retriable, retriable)
      assert.match(failure.message, text)
      assert.match(failure.message, /topic/)
      await service.backend.deliver('topic', newCallback(), forever())
    })
  }

  it('to a name that no topic can have are refused for good', async () => {
    await using service = await start()
    for (const topic of ['.', '..', 'a/b', 'ä', 'a b', 'x'.repeat(250)]) {
      const failure = await failureOf(service.backend.deliver(topic, newCallback(), forever()))
      assert.equal(failure.code, 'receiver.refused', topic)
      assert.equal(failure.retriable, false, topic)
    }
    await service.backend.deliver('x'.repeat(249), newCallback(), forever())
  })

  it('wait for a silent broker as long as message.timeout.ms, and say how long that was', async () => {
    await using service = await start({}, { 'message.timeout.ms': 300 })
    await service.backend.deliver('topic', newCallback(), forever())
    await service.kafka.setDelay(60_000)
    const begin = performance.now()
    const failure = await failureOf(service.backend.deliver('topic', newCallback(), forever()))
    assert.equal(failure.code, 'receiver.timeout')
    assert.equal(failure.retriable, true)
    assert.match(failure.message, /within 0\.3 s/)
    assert.ok(performance.now() - begin < 900)
  })

  it('get past a broker that accepts connections and says nothing', async () => {
    const frozen = createServer(() => {}).listen(0, '127.0.0.1')
    await once(frozen, 'listening')
    await using kafka = await startKafka()
    const { port } = frozen.address() as AddressInfo
    const brokers = `127.0.0.1:${port},${kafka.bootstrap}`
    const config = KafkaConfig.parse({ 'bootstrap.servers': brokers, 'message.timeout.ms': 300 })
    for (let n = 0; n < 4; n++) {
      const backend = kafkaBackend(config, newLog().log) // begins with any of them
      await eventually(() => backend.deliver('topic', newCallback(), forever()), 1000)
      await backend.close()
    }
    frozen.close()
  })

  it('are delivered after the broker has closed an idle connection', async () => {
    await using service = await start()
    await service.backend.deliver('topic', newCallback(), forever())
    await service.kafka.down()
    await service.kafka.up()
    await service.backend.deliver('topic', newCallback(), forever())
  })

  it('that are under way when the broker dies fail by name or are delivered, and those after it are delivered', async () => {
    await using service = await start()
    await service.backend.deliver('topic', newCallback(), forever())
    await service.kafka.setDelay(100)
    const deliver = () => service.backend.deliver('topic', newCallback(), forever())
    const underWay = Promise.allSettled(Array.from({ length: 50 }, deliver))
    await service.kafka.down()
    const failures = (await underWay).filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason)
    assert.ok(failures.length > 0)
    assert.deepEqual(new Set(failures.map(({ code }) => code)), new Set(['receiver.unreachable']))
    await service.kafka.up()
    await service.kafka.setDelay(0)
    await eventually(deliver)
    await Promise.all(Array.from({ length: 50 }, deliver))
  })

  it('fail, and bother nobody else, when Kafka is down from the start', async () => {
    const rejections: unknown[] = []
    const onRejection = (reason: unknown) => rejections.push(reason)
    process.on('unhandledRejection', onRejection)
    try {
      await using service = await start()
      await service.kafka.down()
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          failureOf(service.backend.deliver(`topic-${n % 2}`, newCallback(), forever())),
        ),
      )
      assert.deepEqual(new Set(outcomes.map(({ code }) => code)), new Set(['receiver.unreachable']))
      await service.kafka.up()
      await eventually(() => service.backend.deliver('topic-0', newCallback(), forever()))
      await delay(50) // whatever goes wrong behind our back has gone wrong by then
    } finally {
      process.off('unhandledRejection', onRejection)
    }
    assert.deepEqual(rejections, [])
  })

  it('fail at once for a second after connecting has failed', async () => {
    await using service = await start({}, { retries: 0 })
    await service.kafka.down()
    const first = await failureOf(service.backend.deliver('topic', newCallback(), forever()))
    const begin = performance.now()
    for (let n = 0; n < 100; n++) {
      const failure = await failureOf(service.backend.deliver('topic', newCallback(), forever()))
      assert.equal(failure.message, first.message)
    }
    assert.ok(performance.now() - begin < 500)
  })

  it('to many topics keep few connections', async () => {
    await using service = await start()
    const open = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
    const before = open()
    for (let n = 0; n < 100; n++) await service.backend.deliver(`topic-${n}`, newCallback(), forever())
    await eventually(() => assert.ok(open() - before <= 34, `${open() - before} sockets`))
    await service.backend.close()
    await eventually(() => assert.ok(open() <= before, `${open()} sockets, before ${before}`))
  })

  it('leave no timer behind that keeps an idle connection busy (tulios/kafkajs#1704)', async () => {
    await using service = await start()
    await service.backend.deliver('topic', newCallback(), forever())
    const queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue')
    assert.equal(typeof queue.prototype.scheduleCheckPendingRequests, 'function', 'kafkajs has changed')
    const { checkPendingRequests } = queue.prototype
    let checks = 0
    queue.prototype.checkPendingRequests = function () {
      checks++
      return checkPendingRequests.call(this)
    }
    try {
      await delay(200)
    } finally {
      queue.prototype.checkPendingRequests = checkPendingRequests
    }
    assert.ok(checks < 5, `${checks} checks in 200 ms`)
  })

  it('warn by name about what kafkajs cannot do, and about nothing else', async () => {
    await using service = await start({}, { 'go.delivery.reports': true, 'compression.codec': 'snappy', acks: 'all' })
    await service.backend.deliver('topic', newCallback(), forever())
    assert.equal(service.said.length, 2)
    assert.match(service.said.join('\n'), /"go\.delivery\.reports" has no equivalent/)
    assert.match(service.said.join('\n'), /compression "snappy" is not available/)
  })
})
