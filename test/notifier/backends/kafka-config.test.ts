import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { createServer, type TLSSocket } from 'node:tls'
import { newLog } from '../../../src/log.ts'
import { kafkaBackend } from '../../../src/notifier/backends/kafka.ts'
import { KafkaConfig, kafkaSettings } from '../../../src/notifier/backends/kafka-config.ts'
import { failureOf, forever, newCallback } from '../../conformance/backend.ts'
import { makeCertificates } from '../../support/certificates.ts'

const settingsOf = (config: object) => kafkaSettings(KafkaConfig.parse({ 'bootstrap.servers': 'h:1', ...config }))

/** The keys that a configuration is refused for. */
function complaints(config: object): string[] {
  const { error } = KafkaConfig.safeParse(config)
  return error?.issues.map(({ path }) => path.join('.')) ?? []
}

describe('the configuration of Kafka', () => {
  it('takes the sample of the original, and warns about what has no equivalent', () => {
    const settings = kafkaSettings(
      KafkaConfig.parse({
        'bootstrap.servers': 'localhost:9092',
        'api.version.request': true,
        'log.connection.close': false,
        'go.delivery.reports': true,
        'message.send.max.retries': 3,
        'request.required.acks': -1,
      }),
    )
    assert.deepEqual(settings.brokers, ['localhost:9092'])
    assert.equal(settings.retries, 3)
    assert.equal(settings.acks, -1)
    const names = settings.warnings.map((warning) => /"(.+?)"/.exec(warning)?.[1])
    assert.deepEqual(names.sort(), ['api.version.request', 'go.delivery.reports', 'log.connection.close'])
  })

  it('waits for all replicas unless told otherwise, sends plain text, and gives up after 30 seconds', () => {
    const { client, acks, gzip, deadlineMs, warnings } = settingsOf({})
    assert.equal(acks, -1)
    assert.equal(gzip, false)
    assert.equal(deadlineMs, 30_000)
    assert.equal(client.ssl, undefined)
    assert.equal(client.sasl, undefined)
    assert.deepEqual(warnings, [])
  })

  it('takes numbers and booleans as strings, too', () => {
    const settings = settingsOf({
      'message.send.max.retries': '2',
      'message.timeout.ms': '5000',
      'request.timeout.ms': '4000',
      'socket.timeout.ms': '3000',
      'retry.backoff.ms': '7',
      'client.id': 42,
      'security.protocol': 'SSL',
      'enable.ssl.certificate.verification': 'false',
    })
    assert.equal(settings.retries, 2)
    assert.equal(settings.deadlineMs, 5000)
    assert.equal(settings.ackTimeoutMs, 4000)
    assert.equal(settings.client.requestTimeout, 3000)
    assert.equal(settings.client.retry?.initialRetryTime, 7)
    assert.equal(settings.client.clientId, '42')
    assert.deepEqual(settings.client.ssl, { rejectUnauthorized: false })
  })

  for (const [value, acks] of [
    [-1, -1],
    [0, 0],
    [1, 1],
    ['-1', -1],
    ['0', 0],
    ['1', 1],
    ['all', -1],
  ] as const) {
    it(`reads request.required.acks ${JSON.stringify(value)}, and acks`, () => {
      assert.equal(settingsOf({ 'request.required.acks': value }).acks, acks)
      assert.equal(settingsOf({ acks: value }).acks, acks)
    })
  }

  it('reads lists of brokers in all the forms of librdkafka', () => {
    const brokers = (list: string) => settingsOf({ 'bootstrap.servers': list }).brokers
    assert.deepEqual(brokers('a:1,b-c.d_e:2'), ['a:1', 'b-c.d_e:2'])
    assert.deepEqual(brokers(' a , PLAINTEXT://b:7 ,'), ['a:9092', 'b:7'])
    const alias = kafkaSettings(KafkaConfig.parse({ 'metadata.broker.list': 'c:3' }))
    assert.deepEqual(alias.brokers, ['c:3'])
  })

  it('tries every broker of the list', () => {
    assert.equal(settingsOf({ 'bootstrap.servers': 'a,b,c,d,e,f,g', retries: 0 }).client.retry?.retries, 6)
  })

  it('bounds retries that were meant to go on for ever', () => {
    assert.equal(settingsOf({ retries: 2_147_483_647 }).retries, 10)
    assert.equal(settingsOf({ 'message.timeout.ms': 0 }).deadlineMs, 30_000)
  })

  for (const [mechanism, ours] of [
    ['PLAIN', 'plain'],
    ['SCRAM-SHA-256', 'scram-sha-256'],
    ['scram-sha-512', 'scram-sha-512'],
  ]) {
    it(`logs in with ${mechanism}`, () => {
      const login = { 'sasl.username': 'me', 'sasl.password': 'secret' }
      const expected = { mechanism: ours, username: 'me', password: 'secret' }
      const plaintext = { ...login, 'security.protocol': 'sasl_plaintext', 'sasl.mechanisms': mechanism }
      assert.deepEqual(settingsOf(plaintext).client.sasl, expected)
      assert.equal(settingsOf(plaintext).client.ssl, undefined)
      const ssl = { ...login, 'security.protocol': 'sasl_ssl', 'sasl.mechanism': mechanism }
      assert.deepEqual(settingsOf(ssl).client.sasl, expected)
      assert.deepEqual(settingsOf(ssl).client.ssl, {})
    })
  }

  it('names the keys of values that it cannot use', () => {
    const bootstrap = { 'bootstrap.servers': 'h:1' }
    const wrong: [string, object][] = [
      ['bootstrap.servers', {}],
      ['bootstrap.servers', { 'bootstrap.servers': '' }],
      ['bootstrap.servers', { 'bootstrap.servers': 'a:b' }],
      ['bootstrap.servers', { 'bootstrap.servers': '[::1]:9092' }],
      ['bootstrap.servers', { 'bootstrap.servers': ['a:1'] }],
      ['request.required.acks', { ...bootstrap, 'request.required.acks': 2 }],
      ['acks', { ...bootstrap, acks: 'some' }],
      ['retries', { ...bootstrap, retries: -1 }],
      ['message.send.max.retries', { ...bootstrap, 'message.send.max.retries': 'many' }],
      ['security.protocol', { ...bootstrap, 'security.protocol': 'tls' }],
      ['compression.codec', { ...bootstrap, 'compression.codec': 'rar' }],
      ['sasl.mechanisms', { ...bootstrap, 'sasl.mechanisms': 'GSSAPI' }],
      ['ssl.key.location', { ...bootstrap, 'ssl.certificate.location': '/c.pem' }],
    ]
    for (const [key, config] of wrong) assert.deepEqual(complaints(config), [key], JSON.stringify(config))
    assert.deepEqual(complaints({ ...bootstrap, 'security.protocol': 'sasl_ssl' }), [
      'sasl.mechanism',
      'sasl.username',
      'sasl.password',
    ])
  })

  it('names the key of a file that it cannot read', () => {
    const config = { 'security.protocol': 'ssl', 'ssl.ca.location': '/nowhere/ca.pem' }
    assert.throws(() => settingsOf(config), /ssl\.ca\.location.*ENOENT/)
  })

  it('warns about every compression that kafkajs has not, and sends uncompressed', () => {
    for (const codec of ['snappy', 'lz4', 'zstd']) {
      const { gzip, warnings } = settingsOf({ 'compression.type': codec })
      assert.equal(gzip, false)
      assert.match(warnings.join(), new RegExp(codec))
    }
    for (const codec of ['none', 'inherit']) assert.deepEqual(settingsOf({ 'compression.codec': codec }).warnings, [])
  })

  it('speaks TLS to brokers that it trusts, and shows them its certificate', async () => {
    await using certificates = await makeCertificates()
    const dir = await mkdtemp(path.join(tmpdir(), 'kafka-tls-'))
    const file = async (name: string, text: string) => {
      await writeFile(path.join(dir, name), text)
      return path.join(dir, name)
    }
    const { key, cert } = certificates.good
    const handshakes: { authorized: boolean }[] = []
    const server = createServer({ key, cert, ca: certificates.ca, requestCert: true }, (socket: TLSSocket) => {
      handshakes.push({ authorized: socket.authorized })
      socket.destroy() // it is no Kafka
    })
    server.on('tlsClientError', () => {})
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const config = {
      'bootstrap.servers': `127.0.0.1:${(server.address() as AddressInfo).port}`,
      'security.protocol': 'ssl',
      retries: 0,
    }
    try {
      const wary = kafkaBackend(KafkaConfig.parse(config), newLog('test', 'silent'))
      const distrust = await failureOf(wary.deliver('topic', newCallback(), forever()))
      assert.match(distrust.message, /certificate/)
      assert.deepEqual(handshakes, [])

      const trusting = kafkaBackend(
        KafkaConfig.parse({
          ...config,
          'ssl.ca.location': certificates.caFile,
          'ssl.certificate.location': await file('client.crt', cert),
          'ssl.key.location': await file('client.key', key),
        }),
        newLog('test', 'silent'),
      )
      const failure = await failureOf(trusting.deliver('topic', newCallback(), forever()))
      assert.equal(failure.code, 'receiver.unreachable')
      assert.deepEqual(handshakes[0], { authorized: true })
      await Promise.all([wary.close(), trusting.close()])
    } finally {
      server.close()
      await rm(dir, { recursive: true })
    }
  })
})
