import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { KafkaConfig as ClientConfig, SASLOptions } from 'kafkajs'
import { z } from 'zod'

/** Numbers and booleans may be written as strings, as librdkafka takes them. */
const whole = (min: number) =>
  z
    .union([z.int(), z.string().regex(/^\d+$/).transform(Number)], { error: 'expected a whole number' })
    .pipe(z.int().min(min))
const text = z.union([z.string(), z.number().transform(String)], { error: 'expected a string' })
const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((word) => word === 'true')], {
  error: 'expected true or false',
})
const acks = z
  .literal([-1, 0, 1, '-1', '0', '1', 'all'], { error: 'expected all (or -1), 0 or 1' })
  .transform((value) => (value === 'all' ? -1 : Number(value)))
const codec = z
  .string()
  .toLowerCase()
  .pipe(z.enum(['none', 'inherit', 'gzip', 'snappy', 'lz4', 'zstd']))
const mechanism = z
  .string()
  .toUpperCase()
  .pipe(
    z.enum(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'], { error: 'expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512' }),
  )

/** KafkaJS takes no IPv6 literals. */
const BROKER = /^(?:\w+:\/\/)?([\w.-]+)(?::(\d{1,5}))?$/

/** `host`, `host:port` or `PLAINTEXT://host:port`, separated by commas; as `host:port`. */
const brokers = z.string().transform((list, context) => {
  const entries = list
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean)
    .map((entry) => BROKER.exec(entry))
  const known = entries.filter((entry) => entry !== null)
  if (known.length > 0 && known.length === entries.length)
    return known.map(([, host, port = 9092]) => `${host}:${port}`)
  context.addIssue('expected host:port, with commas between several')
  return z.NEVER
})

/** Each of these has a shorter or a newer name, under which librdkafka knows it too. */
const aliases = [
  ['bootstrap.servers', 'metadata.broker.list'],
  ['acks', 'request.required.acks'],
  ['retries', 'message.send.max.retries'],
  ['compression.type', 'compression.codec'],
  ['sasl.mechanism', 'sasl.mechanisms'],
  ['delivery.timeout.ms', 'message.timeout.ms'],
] as const

/** librdkafka's names, so that the configuration of the Go service works as it is; others are warned about. */
export const KafkaConfig = z
  .looseObject({
    'bootstrap.servers': brokers.optional(),
    'metadata.broker.list': brokers.optional(),
    'client.id': text.optional(),
    acks: acks.optional(),
    'request.required.acks': acks.optional(),
    retries: whole(0).optional(),
    'message.send.max.retries': whole(0).optional(),
    'retry.backoff.ms': whole(1).optional(),
    'retry.backoff.max.ms': whole(1).optional(),
    'compression.type': codec.optional(),
    'compression.codec': codec.optional(),
    'delivery.timeout.ms': whole(0).optional(),
    'message.timeout.ms': whole(0).optional(),
    'request.timeout.ms': whole(1).optional(),
    'socket.timeout.ms': whole(10).optional(),
    'socket.connection.setup.timeout.ms': whole(1).optional(),
    'security.protocol': z
      .string()
      .toLowerCase()
      .pipe(z.enum(['plaintext', 'ssl', 'sasl_plaintext', 'sasl_ssl']))
      .optional(),
    'ssl.ca.location': text.optional(),
    'ssl.certificate.location': text.optional(),
    'ssl.key.location': text.optional(),
    'ssl.key.password': text.optional(),
    'enable.ssl.certificate.verification': flag.optional(),
    'ssl.endpoint.identification.algorithm': z.enum(['none', 'https']).optional(),
    'sasl.mechanism': mechanism.optional(),
    'sasl.mechanisms': mechanism.optional(),
    'sasl.username': text.optional(),
    'sasl.password': text.optional(),
  })
  .check(({ value, issues }) => {
    const require = (name: keyof typeof value, why: string) => {
      const names = aliases.find((pair) => pair.some((one) => one === name)) ?? [name]
      if (names.some((one) => value[one] !== undefined)) return
      issues.push({ code: 'custom', path: [name], message: `is required${why}`, input: value })
    }
    require('bootstrap.servers', '')
    if (value['security.protocol']?.startsWith('sasl')) {
      const why = ' by security.protocol'
      require('sasl.mechanism', why)
      require('sasl.username', why)
      require('sasl.password', why)
    }
    if (value['ssl.certificate.location'] !== undefined) require('ssl.key.location', ' by ssl.certificate.location')
  })

export type KafkaConfig = z.infer<typeof KafkaConfig>

/** What our Kafka backend makes of a configuration. */
export interface KafkaSettings {
  /** `host:port`, at least one */
  brokers: string[]
  client: Omit<ClientConfig, 'brokers'>
  /** kafkajs's own, within the deadline */
  retries: number
  /** -1: all in-sync replicas */
  acks: number
  gzip: boolean
  /** How long the broker waits for its replicas. */
  ackTimeoutMs: number
  /** How long one delivery may take, whatever happens. */
  deadlineMs: number
  /** What could not be taken over, for the log: one sentence each. */
  warnings: string[]
}

/** librdkafka waits five minutes for a delivery; here the notifier's own schedule takes over much earlier. */
const DEADLINE_MS = 30_000
/** More retries than this are the notifier's. librdkafka's own default is 2 147 483 647. */
const MAX_RETRIES = 10

/** @throws Error that names the key of a file that cannot be read */
export function kafkaSettings(config: KafkaConfig): KafkaSettings {
  const warnings = unknownNames(config).map((name) => `backends.kafka: "${name}" has no equivalent here and is ignored`)
  const codec = config['compression.type'] ?? config['compression.codec'] ?? 'none'
  if (codec === 'snappy' || codec === 'lz4' || codec === 'zstd') {
    warnings.push(`backends.kafka: compression "${codec}" is not available, messages are sent uncompressed (gzip is)`)
  }
  const brokers = config['bootstrap.servers'] ?? config['metadata.broker.list'] ?? []
  const retries = Math.min(config.retries ?? config['message.send.max.retries'] ?? 3, MAX_RETRIES)
  const deadlineMs = (config['delivery.timeout.ms'] ?? config['message.timeout.ms']) || DEADLINE_MS
  const protocol = config['security.protocol'] ?? 'plaintext'

  return {
    brokers,
    client: {
      clientId: config['client.id'] ?? 'downloader',
      connectionTimeout: Math.min(config['socket.connection.setup.timeout.ms'] ?? 5000, deadlineMs),
      requestTimeout: Math.min(config['socket.timeout.ms'] ?? DEADLINE_MS, deadlineMs),
      ...(protocol.endsWith('ssl') ? { ssl: tlsOptions(config) } : {}),
      ...(protocol.startsWith('sasl') ? { sasl: saslOptions(config) } : {}),
      retry: {
        initialRetryTime: config['retry.backoff.ms'] ?? 100,
        maxRetryTime: config['retry.backoff.max.ms'] ?? 1000,
        retries: Math.max(retries, brokers.length - 1), // every one of them is tried once
      },
    },
    retries,
    acks: config.acks ?? config['request.required.acks'] ?? -1,
    gzip: codec === 'gzip',
    ackTimeoutMs: Math.min(config['request.timeout.ms'] ?? DEADLINE_MS, deadlineMs),
    deadlineMs,
    warnings,
  }
}

function unknownNames(config: KafkaConfig): string[] {
  return Object.keys(config).filter((name) => !Object.hasOwn(KafkaConfig.shape, name))
}

function tlsOptions(config: KafkaConfig): ConnectionOptions {
  const options: ConnectionOptions = {}
  const ca = pem(config, 'ssl.ca.location')
  const cert = pem(config, 'ssl.certificate.location')
  const key = pem(config, 'ssl.key.location')
  if (ca !== undefined) options.ca = ca
  if (cert !== undefined) options.cert = cert
  if (key !== undefined) options.key = key
  if (config['ssl.key.password'] !== undefined) options.passphrase = config['ssl.key.password']
  if (config['enable.ssl.certificate.verification'] === false) options.rejectUnauthorized = false
  if (config['ssl.endpoint.identification.algorithm'] === 'none') options.checkServerIdentity = () => undefined
  return options
}

type FileKey = 'ssl.ca.location' | 'ssl.certificate.location' | 'ssl.key.location'

function pem(config: KafkaConfig, key: FileKey): string | undefined {
  const file = config[key]
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new Error(`backends.kafka: ${key}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

const mechanisms = {
  PLAIN: 'plain',
  'SCRAM-SHA-256': 'scram-sha-256',
  'SCRAM-SHA-512': 'scram-sha-512',
} as const

function saslOptions(config: KafkaConfig): SASLOptions {
  const mechanism = mechanisms[config['sasl.mechanism'] ?? config['sasl.mechanisms'] ?? 'PLAIN']
  const credentials = { username: config['sasl.username'] ?? '', password: config['sasl.password'] ?? '' }
  return { mechanism, ...credentials }
}
