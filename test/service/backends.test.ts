import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { startAws } from '../support/aws.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Kafka, kafkaErrors, startKafka } from '../support/kafka.ts'
import { type Role, type Service, startRole, startService } from '../support/service.ts'

/** What the SDK's default chain finds in the environment of the service. */
const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }

describe('callbacks over Kafka and SQS', () => {
  let service: Service
  let origin: Origin
  let kafka: Kafka
  let aws: Awaited<ReturnType<typeof startAws>>
  let url: string

  before(async () => {
    origin = await startOrigin()
    url = origin.on('/file', 'content')
    kafka = await startKafka()
    aws = await startAws()
    service = await startService({
      roles: ['start'],
      env: credentials,
      config: {
        notifier: { max_retries: 1 },
        backends: {
          kafka: {
            'bootstrap.servers': kafka.bootstrap,
            'request.required.acks': 'all',
            'message.send.max.retries': 0,
            'queue.buffering.max.ms': 5,
          },
          sqs: { region: aws.region, endpoint: aws.endpoint },
        },
      },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await aws[Symbol.asyncDispose]()
    await kafka[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  const overKafka = (topic: string) => ({ callback_type: 'kafka', callback_dst: topic })
  const overSqs = (queue: string) => ({ callback_type: 'sqs', callback_dst: queue })
  const logged = (msg: string, id: string, attempt = 1) =>
    service.role('start').logged((line) => line.msg === msg && line.job_id === id && line.attempt === attempt)
  const stats = async () => (await (await service.get('/stats/notifier')).json()) as Record<string, number>
  const messagesOf = (queue: string) => aws.server.inspectQueue(queue)?.messages.ready ?? []

  it('go to the topic, with the id of the job as their key', async () => {
    await kafka.createTopic('images')
    const id = await service.enqueue({ url, extra: 'foobar', ...overKafka('images') })
    await logged('callback delivered', id)
    const [message, ...others] = await kafka.messages('images')
    assert.equal(message?.key, id)
    assert.deepEqual(others, [])
    const { job_id, success, extra, resource_url, delivered } = JSON.parse(message.value)
    assert.deepEqual(
      { job_id, success, extra, resource_url, delivered },
      { job_id: id, success: true, extra: 'foobar', resource_url: url, delivered: true },
    )
  })

  it('have the same keys over every backend', async () => {
    await kafka.createTopic('same')
    const { queueUrl } = aws.server.createQueue('same')
    const byKafka = await service.enqueue({ url, ...overKafka('same') })
    const bySqs = await service.enqueue({ url, ...overSqs(queueUrl) })
    const overHttp = await service.download({ url })
    await logged('callback delivered', byKafka)
    await logged('callback delivered', bySqs)
    const { job_id, download_url, timings: _, ...expected } = overHttp
    for (const body of [(await kafka.messages('same'))[0]?.value, messagesOf('same')[0]?.body]) {
      const { job_id: id, download_url: where, timings, ...callback } = JSON.parse(body ?? '')
      assert.equal(typeof timings.total, 'number')
      assert.deepEqual(callback, expected)
      assert.equal(where, download_url.replaceAll(job_id, id).replace(`/${job_id.slice(0, 3)}/`, `/${id.slice(0, 3)}/`))
    }
  })

  it('to a topic that is not there are retried, fail, and are counted; after POST /retry they arrive', async () => {
    await kafka.setTopicError('late', kafkaErrors.unknownTopicOrPartition)
    const id = await service.enqueue({ url, ...overKafka('late') })
    const { code, error } = await logged('callback failed', id)
    assert.equal(code, 'receiver.unknown_topic')
    assert.match(String(error), /topic late does not exist/)
    await logged('callback failed', id, 2)
    await eventually(async () => assert.equal((await stats()).unknownTopicOrPartition, 2))
    await eventually(async () => assert.equal((await stats()).failedCallbacks, 1))
    await kafka.setTopicError('late', kafkaErrors.none)
    await eventually(async () => assert.equal((await service.post(`/retry/${id}`)).status, 201))
    await eventually(async () => assert.equal((await kafka.messages('late'))[0]?.key, id))
  })

  it('go to the queue by its full URL, and by that without a scheme', async () => {
    const { queueUrl } = aws.server.createQueue('standard')
    const ids: string[] = []
    for (const queue of [queueUrl, queueUrl.replace(/^http:\/\//, '')]) {
      const id = await service.enqueue({ url, ...overSqs(queue) })
      await logged('callback delivered', id)
      ids.push(id)
    }
    assert.deepEqual(
      messagesOf('standard').map(({ body }) => JSON.parse(body).job_id),
      ids,
    )
  })

  it('to a FIFO queue have a group and an id that tells duplicates', async () => {
    const { queueUrl } = aws.server.createQueue('ordered.fifo', { attributes: { FifoQueue: 'true' } })
    const id = await service.enqueue({ url, ...overSqs(queueUrl) })
    await logged('callback delivered', id)
    const [message] = messagesOf('ordered.fifo')
    assert.equal(JSON.parse(message?.body ?? '').job_id, id)
    assert.equal(message?.messageDeduplicationId, id)
    assert.ok(message?.messageGroupId)
  })

  it('to a queue that is not there are retried, and fail by name', async () => {
    const { queueUrl } = aws.server.createQueue('gone')
    const id = await service.enqueue({ url, ...overSqs(queueUrl.replace(/gone$/, 'never-there')) })
    const { code, error } = await logged('callback failed', id)
    assert.equal(code, 'receiver.unknown_queue')
    assert.match(String(error), /never-there does not exist/)
    await logged('callback failed', id, 2)
    await eventually(async () => assert.equal((await service.post(`/retry/${id}`)).status, 201))
  })

  it('of failures may take another backend', async () => {
    await kafka.createTopic('errors')
    const id = await service.enqueue({
      url: `${origin.url}/absent`,
      callback_error_type: 'kafka',
      callback_error_dst: 'errors',
    })
    await logged('callback delivered', id)
    const [message] = await kafka.messages('errors')
    assert.deepEqual([message?.key, JSON.parse(message?.value ?? '').error_code], [id, 'http.404'])
    assert.ok(!service.receiver.received.some(({ callback }) => callback.job_id === id))
  })

  it('take the type of callback_type for failures, where callback_error_type is absent', async () => {
    await kafka.createTopic('own-errors')
    const id = await service.enqueue({
      url: `${origin.url}/absent`,
      ...overKafka('images'),
      callback_error_dst: 'own-errors',
    })
    await logged('callback delivered', id)
    assert.equal((await kafka.messages('own-errors'))[0]?.key, id)
  })

  it('warn of a name of librdkafka that has no equivalent, and of no other', async () => {
    const { msg } = await service.role('start').logged(({ msg }) => /queue\.buffering\.max\.ms/.test(String(msg)))
    assert.match(String(msg), /no equivalent/)
    const warnings = service.role('start').logs.filter(({ msg }) => /no equivalent|not a key/.test(String(msg)))
    assert.equal(warnings.length, 1)
  })
})

describe('a notifier that lacks a backend', () => {
  it('leaves its callbacks to those that have it', async () => {
    await using kafka = await startKafka()
    await kafka.createTopic('images')
    await using origin = await startOrigin()
    const backends = { kafka: { 'bootstrap.servers': kafka.bootstrap } }
    await using service = await startService({ roles: ['api', 'processor'], config: { backends } })
    const url = origin.on('/file', 'content')
    const byKafka = await service.enqueue({ url, callback_type: 'kafka', callback_dst: 'images' })
    const lacking = await startHttpNotifier(service)
    await service.download({ url })
    assert.deepEqual(await kafka.messages('images'), [])
    await service.add('notifier')
    await eventually(async () => assert.equal((await kafka.messages('images'))[0]?.key, byKafka))
    assert.ok(!lacking.logs.some(({ msg }) => msg === 'callback failed'))
  })
})

async function startHttpNotifier({ configFile, dir, roles }: Service): Promise<Role> {
  const config = JSON.parse(await readFile(configFile, 'utf8'))
  const file = path.join(dir, 'http-only.json')
  await writeFile(file, JSON.stringify({ ...config, backends: { http: {} } }))
  const role = startRole(['notifier', '-c', file])
  roles.push(role) // which end with the service
  await role.logged(({ msg }) => msg === 'notifier started')
  return role
}
