import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { type FauxqsServer, startFauxqs } from 'fauxqs'
import { Agent } from 'undici'
import { SqsConfig, sqsBackend } from '../../../src/notifier/backends/sqs.ts'
import { backendConformance, failureOf, forever, newCallback } from '../../conformance/backend.ts'
import { startAws } from '../../support/aws.ts'
import { type ReceivedRequest, startReceiver } from '../../support/receiver.ts'
import { callbacksAgent } from './callbacks-agent.ts'

const region = 'us-east-1'

/** What SQS says, in the JSON protocol. */
function answer(response: ServerResponse, status: number, type: string, message = ''): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' })
  response.end(JSON.stringify({ __type: `com.amazonaws.sqs#${type}`, message }))
}

/** Stands in for the moods of SQS that the emulator has not: the name of the queue is `<status>-<error>`, or `hang`. */
async function startMoodySqs() {
  const receiver = await startReceiver({
    respond({ body }, response) {
      const name = String(JSON.parse(body).QueueUrl).split('/').at(-1) ?? ''
      const [status = '', type = ''] = name.split('-')
      if (name !== 'hang') answer(response, Number(status), type, `said ${type}`)
    },
  })
  return Object.assign(receiver, { queue: (name: string) => receiver.url(`/123456789012/${name}`) })
}

backendConformance('sqs', async () => {
  const aws = await startAws() // also sets credentials
  const { port } = aws.server
  let server: FauxqsServer | undefined = aws.server
  const { queueUrl } = server.createQueue('callbacks')
  const moody = await startMoodySqs()
  const agent = callbacksAgent()
  const backend = sqsBackend(SqsConfig.parse({ region, endpoint: aws.endpoint }), agent)
  return {
    backend,
    destination: queueUrl,
    arrived: async () => messagesOf(server, 'callbacks').map(({ body }) => JSON.parse(body)),
    troubled: async () => moody.queue('503-ServiceUnavailable'),
    hopeless: async () => moody.queue('403-AccessDenied'),
    silent: async () => moody.queue('hang'),
    async goAway() {
      await server?.stop()
      server = undefined
    },
    async comeBack() {
      server = await startFauxqs({ port, logger: false })
      server.createQueue('callbacks')
    },
    async [Symbol.asyncDispose]() {
      await backend.close()
      await agent.destroy()
      await moody[Symbol.asyncDispose]()
      await server?.stop()
    },
  }
})

function messagesOf(server: FauxqsServer | undefined, queue: string) {
  return server?.inspectQueue(queue)?.messages.ready ?? assert.fail(`no queue ${queue}`)
}

/** An emulator and a backend whose endpoint it is. */
async function start() {
  const aws = await startAws()
  const agent = callbacksAgent()
  const backend = sqsBackend(SqsConfig.parse({ region, endpoint: aws.endpoint }), agent)
  return {
    aws,
    backend,
    async [Symbol.asyncDispose]() {
      await backend.close()
      await agent.destroy()
      await aws[Symbol.asyncDispose]()
    },
  }
}

/** A moody SQS and a backend that knows nothing of it. */
async function startMoody() {
  const moody = await startMoodySqs()
  const agent = callbacksAgent()
  const backend = sqsBackend(SqsConfig.parse({ region }), agent)
  return {
    moody,
    backend,
    async [Symbol.asyncDispose]() {
      await backend.close()
      await agent.destroy()
      await moody[Symbol.asyncDispose]()
    },
  }
}

describe('SQS callbacks', () => {
  it('take the scheme of the endpoint when their destination has none', async () => {
    await using service = await start()
    const { queueUrl } = service.aws.server.createQueue('q')
    const callback = newCallback()
    await service.backend.deliver(queueUrl.replace('http://', ''), callback, forever())
    const [message] = messagesOf(service.aws.server, 'q')
    assert.deepEqual(JSON.parse(message?.body ?? ''), callback)
  })

  it('go to the queue of their destination, wherever it is, without an endpoint', async () => {
    await using aws = await startAws()
    await using service = await startMoody()
    const { queueUrl } = aws.server.createQueue('q')
    await service.backend.deliver(queueUrl, newCallback(), forever())
    assert.equal(messagesOf(aws.server, 'q').length, 1)
  })

  it('go to the queue of their destination, not to the endpoint, when that is another place', async () => {
    await using other = await startAws()
    await using service = await start()
    const { queueUrl } = other.server.createQueue('q')
    await service.backend.deliver(queueUrl, newCallback(), forever())
    assert.equal(messagesOf(other.server, 'q').length, 1)
  })

  it('to a FIFO queue are groups of their own, and one message however often they are sent', async () => {
    await using service = await start()
    const attributes = { FifoQueue: 'true' }
    const { queueUrl } = service.aws.server.createQueue('q.fifo', { attributes })
    const [first, second] = [newCallback(), newCallback()]
    for (const callback of [first, second, first]) await service.backend.deliver(queueUrl, callback, forever())
    const client = await import('@aws-sdk/client-sqs')
    const sqs = new client.SQSClient({ region, endpoint: service.aws.endpoint })
    const command = new client.ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ['MessageGroupId', 'MessageDeduplicationId'],
    })
    const { Messages = [] } = await sqs.send(command)
    sqs.destroy()
    const ids = [first.job_id, second.job_id].sort()
    assert.deepEqual(Messages.map(({ Attributes }) => Attributes?.MessageGroupId).sort(), ids)
    assert.deepEqual(Messages.map(({ Attributes }) => Attributes?.MessageDeduplicationId).sort(), ids)
  })

  it('to a queue that does not exist may be tried again, and are delivered once it was created', async () => {
    await using service = await start()
    const queueUrl = service.aws.server.createQueue('other').queueUrl.replace(/other$/, 'later')
    const failure = await failureOf(service.backend.deliver(queueUrl, newCallback(), forever()))
    assert.equal(failure.code, 'receiver.unknown_queue')
    assert.equal(failure.retriable, true)
    assert.match(failure.message, /later does not exist/)
    service.aws.server.createQueue('later')
    await service.backend.deliver(queueUrl, newCallback(), forever())
  })

  it('that are too long are refused for good', async () => {
    await using service = await start()
    const { queueUrl } = service.aws.server.createQueue('q')
    const callback = newCallback({ extra: 'x'.repeat(2 ** 20) })
    const failure = await failureOf(service.backend.deliver(queueUrl, callback, forever()))
    assert.equal(failure.code, 'receiver.refused')
    assert.equal(failure.retriable, false)
    assert.match(failure.message, /must be shorter/)
  })

  const moods = [
    { queue: '403-AccessDenied', code: 'receiver.refused', retriable: false },
    { queue: '400-InvalidMessageContents', code: 'receiver.refused', retriable: false },
    { queue: '400-UnsupportedOperation', code: 'receiver.refused', retriable: false },
    { queue: '400-KmsAccessDenied', code: 'receiver.refused', retriable: false },
    { queue: '400-QueueDoesNotExist', code: 'receiver.unknown_queue', retriable: true },
    { queue: '400-QueueDeletedRecently', code: 'receiver.unknown_queue', retriable: true },
    { queue: '403-ExpiredToken', code: 'receiver.refused', retriable: true },
    { queue: '403-InvalidClientTokenId', code: 'receiver.refused', retriable: true },
    { queue: '403-SignatureDoesNotMatch', code: 'receiver.refused', retriable: true },
    { queue: '400-ThrottlingException', code: 'receiver.unreachable', retriable: true },
    { queue: '400-RequestThrottled', code: 'receiver.unreachable', retriable: true },
    { queue: '429-TooManyRequests', code: 'receiver.unreachable', retriable: true },
    { queue: '500-InternalFailure', code: 'receiver.unreachable', retriable: true },
    { queue: '503-ServiceUnavailable', code: 'receiver.unreachable', retriable: true },
  ]
  for (const { queue, code, retriable } of moods) {
    it(`fail with ${code}${retriable ? '' : ', for good'}, when SQS answers ${queue.replace('-', ' ')}`, async () => {
      await using service = await startMoody()
      const failure = await failureOf(service.backend.deliver(service.moody.queue(queue), newCallback(), forever()))
      assert.equal(failure.code, code)
      assert.equal(failure.retriable, retriable)
      assert.match(failure.message, queue.includes('Queue') ? /does not exist/ : new RegExp(queue.split('-')[1] ?? ''))
      assert.ok(service.moody.requests.length <= 2, 'more attempts than two')
    })
  }

  it('do not show what SQS quotes of a request whose signature was wrong', async () => {
    await using service = await startMoody()
    const queue = service.moody.queue('403-SignatureDoesNotMatch')
    const failure = await failureOf(service.backend.deliver(queue, newCallback(), forever()))
    assert.doesNotMatch(failure.message, /said/)
  })

  it('can be sent as far as a probe can tell while SQS answers and knows who we are', async () => {
    let mood: [number, string] = [403, 'AccessDenied']
    await using receiver = await startReceiver({ respond: (_, response) => answer(response, ...mood, 'secret') })
    const agent = callbacksAgent()
    const backend = sqsBackend(SqsConfig.parse({ region, endpoint: receiver.url() }), agent)
    const probe = async () => backend.probe?.(forever())
    await probe()
    for (const [status, type] of [
      [403, 'SignatureDoesNotMatch'],
      [403, 'InvalidClientTokenId'],
      [503, 'x'],
    ] as const) {
      mood = [status, type]
      const { message } = await failureOf(probe())
      assert.match(message, status === 403 ? new RegExp(type) : /^SQS of us-east-1 at .+ answered 503$/)
      assert.doesNotMatch(message, /secret/)
    }
    await backend.close()
    await agent.destroy()
  })

  it('are sent once more at once when the connection breaks', async () => {
    let requests = 0
    await using receiver = await startReceiver({
      respond(request, response) {
        if (++requests === 1) response.destroy()
        else acceptMessage(request, response)
      },
    })
    await using service = await startMoody()
    await service.backend.deliver(receiver.url('/1/q'), newCallback(), forever())
    assert.equal(requests, 2)
  })

  it('use one connection for one after another', async () => {
    await using receiver = await startReceiver({ respond: acceptMessage })
    await using service = await startMoody()
    for (let n = 0; n < 10; n++) {
      await service.backend.deliver(receiver.url('/1/q'), newCallback(), forever())
      await new Promise(setImmediate) // undici lets a connection rest for one turn of the event loop
    }
    assert.equal(receiver.connections, 1)
  })

  it('are refused for good at a metadata address', async () => {
    await using service = await startMoody()
    const delivery = service.backend.deliver('http://169.254.169.254/1/q', newCallback(), forever())
    const failure = await failureOf(delivery)
    assert.equal(failure.code, 'receiver.refused')
    assert.equal(failure.retriable, false)
    assert.match(failure.message, /link-local|metadata/)
  })

  it('are refused for good when their destination is no queue URL', async () => {
    await using service = await startMoody()
    for (const destination of ['https://sqs.us-east-1.amazonaws.com', 'ftp://host/1/q', 'http://me:secret@host/1/q']) {
      const failure = await failureOf(service.backend.deliver(destination, newCallback(), forever()))
      assert.equal(failure.code, 'receiver.refused', destination)
      assert.equal(failure.retriable, false, destination)
      assert.doesNotMatch(failure.message, /secret/)
    }
  })

  it('may be tried again when there are no credentials', async () => {
    const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_EC2_METADATA_DISABLED', 'AWS_PROFILE', 'HOME']
    const before = names.map((name) => [name, process.env[name]] as const)
    for (const name of names) delete process.env[name]
    Object.assign(process.env, { AWS_EC2_METADATA_DISABLED: 'true', HOME: '/nowhere' })
    try {
      await using service = await startMoody()
      const delivery = service.backend.deliver(service.moody.queue('200-'), newCallback(), forever())
      const failure = await failureOf(delivery)
      assert.equal(failure.code, 'receiver.refused')
      assert.equal(failure.retriable, true)
      assert.match(failure.message, /credentials/)
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    }
  })
})

/** Accepts a message as SQS does, which answers with the digest of its body. */
function acceptMessage({ body }: ReceivedRequest, response: ServerResponse): void {
  const digest = createHash('md5').update(JSON.parse(body).MessageBody).digest('hex')
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' })
  response.end(JSON.stringify({ MessageId: '1', MD5OfMessageBody: digest }))
}

describe('the region of SQS callbacks', () => {
  /** Sends to the queue at `host`, which is ours here, and says what arrived where. */
  async function send(host: string, config: object = {}) {
    await using atEndpoint = await startReceiver({ respond: acceptMessage })
    await using atHost = await startReceiver({ respond: acceptMessage })
    const endpoint = 'endpoint' in config ? { endpoint: atEndpoint.url() } : {}
    const agent = new Agent({
      connect: { lookup: (_host, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]) },
    })
    const backend = sqsBackend(SqsConfig.parse({ region: 'eu-west-1', ...endpoint }), agent)
    try {
      await backend.deliver(`http://${host}:${atHost.port}/1/q`, newCallback(), forever())
    } finally {
      await backend.close()
      await agent.destroy()
    }
    const [request = assert.fail('nothing came')] = [...atEndpoint.requests, ...atHost.requests]
    const signedFor = /Credential=[^/]+\/\d+\/([^/]+)\/sqs\//.exec(request.headers.authorization ?? '')?.[1]
    const queue: string = JSON.parse(request.body).QueueUrl
    return { at: atHost.requests.length > 0 ? 'host' : 'endpoint', signedFor, queue }
  }

  const hosts = [
    ['queues.example.test', 'eu-west-1'],
    ['sqs.ap-south-2.amazonaws.com', 'ap-south-2'],
    ['sqs.cn-north-1.amazonaws.com.cn', 'cn-north-1'],
    ['sqs-fips.us-west-1.amazonaws.com', 'us-west-1'],
    ['vpce-0a1b-2c3d.sqs.us-gov-east-1.vpce.amazonaws.com', 'us-gov-east-1'],
    ['sqs.eu-south-1.api.aws', 'eu-south-1'],
    ['us-west-2.queue.amazonaws.com', 'us-west-2'],
    ['queue.amazonaws.com', 'us-east-1'],
    ['sqs.us-east-1.amazonaws.com.example.test', 'eu-west-1'],
  ] as const
  for (const [host, expected] of hosts) {
    it(`is ${expected} at ${host}`, async () => {
      const { at, signedFor } = await send(host)
      assert.equal(at, 'host')
      assert.equal(signedFor, expected)
    })
  }

  it('has its own endpoint where one is configured, for the names of AWS', async () => {
    const { at, signedFor, queue } = await send('sqs.eu-west-1.amazonaws.com', { endpoint: true })
    assert.equal(at, 'endpoint')
    assert.equal(signedFor, 'eu-west-1')
    assert.match(queue, /^http:\/\/sqs\.eu-west-1\.amazonaws\.com:\d+\/1\/q$/)
  })

  it('is not served by the endpoint of another one', async () => {
    const { at, signedFor } = await send('sqs.us-east-2.amazonaws.com', { endpoint: true })
    assert.equal(at, 'host')
    assert.equal(signedFor, 'us-east-2')
  })
})
