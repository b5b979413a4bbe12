import assert from 'node:assert/strict'
import { startAws } from '../support/aws.ts'
import { eventually } from '../support/eventually.ts'
import { type Kafka, startKafka } from '../support/kafka.ts'
import { freePort } from '../support/redis.ts'
import { type Service, startService } from '../support/service.ts'
import { startRelay, type TcpRelay } from '../support/tcp-relay.ts'

const env = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 's3cr3t-key' }

describe('/readyz of a worker whose backends come and go', () => {
  let aws: Awaited<ReturnType<typeof startAws>>
  let kafka: Kafka
  /** The way to S3 and to SQS. */
  let relay: TcpRelay
  let service: Service
  const ports = { processor: 0, notifier: 0 }

  before(async () => {
    aws = await startAws(['files'])
    kafka = await startKafka({ brokers: 2 })
    relay = await startRelay(Number(new URL(aws.endpoint).port))
    for (const role of ['processor', 'notifier'] as const) ports[role] = await freePort()
    const endpoint = `http://${relay.addr}`
    const filestorage = { type: 's3', bucket: 'files', region: aws.region, endpoint, force_path_style: true }
    service = await startService({
      roles: ['processor', 'notifier'],
      env,
      config: {
        processor: { metrics_port: ports.processor, filestorage },
        notifier: { metrics_port: ports.notifier },
        backends: {
          http: undefined,
          kafka: { 'bootstrap.servers': kafka.bootstrap },
          sqs: { region: aws.region, endpoint },
        },
      },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await relay[Symbol.asyncDispose]()
    await kafka[Symbol.asyncDispose]()
    await aws[Symbol.asyncDispose]()
  })

  async function says(role: keyof typeof ports, status: number, text: RegExp) {
    await eventually(async () => {
      const response = await fetch(`http://127.0.0.1:${ports[role]}/readyz`)
      const body = await response.text()
      assert.doesNotMatch(body, /s3cr3t/)
      assert.match(body, text)
      assert.equal(response.status, status, body)
    })
  }

  it('names every check while all is well', async () => {
    await says('processor', 200, /^redis: ok\ndisk: ok\nfolders: ok\nstorage: ok\n$/)
    await says('notifier', 200, /^redis: ok\nkafka: ok\nsqs: ok\n$/)
  })

  it('names what is away: 503 without the one storage, 200 while one way to call back is left', async () => {
    await relay.refuse()
    await says('processor', 503, /^storage: the bucket files in us-east-1 could not be reached \(ECONN\w+\)$/m)
    await says('notifier', 200, /^kafka: ok\nsqs: SQS of us-east-1 at http:\/\/127\S+ cannot be reached: .+$/m)
  })

  it('answers 503 when no way to call back is left', async () => {
    for (const broker of [1, 2]) await kafka.down(broker)
    await says('notifier', 503, /^kafka: no broker of 127\S+, 127\S+ answers: .+\nsqs: .+ cannot be reached/m)
  })

  it('says that something takes connections and does not answer', async () => {
    relay.swallow('replies')
    await relay.accept()
    await says('processor', 503, /^storage: does not answer$/m)
    await says('notifier', 503, /^kafka: no broker .+\nsqs: does not answer$/m)
  })

  it('is ready again when they are back, of Kafka one broker is enough', async () => {
    relay.swallow(undefined)
    relay.cut()
    await kafka.up(2)
    await says('processor', 200, /^storage: ok$/m)
    await says('notifier', 200, /^kafka: ok\nsqs: ok$/m)
  })
})
