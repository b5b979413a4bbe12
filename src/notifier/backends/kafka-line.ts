import net from 'node:net'
import tls from 'node:tls'
import type { CompressionTypes, ISocketFactory, Message } from 'kafkajs'
import type { Log } from '../../log.ts'
import type { KafkaSettings } from './kafka-config.ts'

/** A producer with connections of its own. */
export interface KafkaLine {
  /** When connecting failed, by `performance.now()`; from then on the line fails every message. */
  readonly failedAt: number | undefined
  readonly idle: boolean
  /** Resolves once the broker has acknowledged; bounded by kafkajs's retries and timeouts. @throws kafkajs's errors */
  send(topic: string, message: Message): Promise<void>
  closeWhenIdle(): void
  close(): void
}

/**
 * Begins to connect; messages wait for that together.
 *
 * @param brokers the one to ask first stands first
 * @param onClose called once, when the connections are gone
 */
export function openLine(
  loadKafkajs: () => Promise<typeof import('kafkajs')>,
  settings: KafkaSettings,
  brokers: string[],
  log: Log,
  onClose: () => void,
): KafkaLine {
  const { acks, ackTimeoutMs, retries } = settings
  const compression: CompressionTypes = settings.gzip ? 1 : 0
  const sockets = trackedSockets()
  let failedAt: number | undefined
  let users = 0
  let retired = false
  let closed = false

  async function connect() {
    const { Kafka, Partitioners, logLevel } = await loadKafkajs()
    const kafka = new Kafka({
      ...settings.client,
      brokers,
      socketFactory: sockets.connect,
      logLevel: logLevel.WARN,
      // What matters of it comes back as an error; kafkajs reports each failure several times.
      logCreator: () => (entry) => log.debug({ kafka: entry.namespace, error: entry.log.error }, entry.log.message),
    })
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, retry: { retries } })
    await producer.connect()
    return producer
  }

  const connecting = connect()
  connecting.catch(() => {
    failedAt = performance.now()
  })

  function close(): void {
    if (closed) return
    closed = true
    sockets.destroy()
    onClose()
  }

  return {
    get failedAt() {
      return failedAt
    },
    get idle() {
      return users === 0
    },
    async send(topic, message) {
      users++
      try {
        const producer = await connecting
        await producer.send({ topic, acks, timeout: ackTimeoutMs, compression, messages: [message] })
      } finally {
        users--
        if (retired && users === 0) close()
      }
    },
    closeWhenIdle() {
      retired = true
      if (users === 0) close()
    },
    close,
  }
}

/**
 * kafkajs's `disconnect` waits for what is under way and leaves sockets behind whose other end is silent. These can be
 * closed for sure: to kafkajs it looks like a broken connection, and it finds no way to make another.
 */
export function trackedSockets() {
  const open = new Set<net.Socket>()
  let closed = false
  const connect: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    if (closed) throw new Error('the connection to Kafka is closed')
    const servername = net.isIP(host) ? {} : { servername: host }
    const socket = ssl
      ? tls.connect({ host, port, ...servername, ...ssl }, onConnect)
      : net.connect({ host, port }, onConnect)
    socket.setNoDelay(true) // kafkajs sends each request in one piece
    socket.setKeepAlive(true, 60_000)
    open.add(socket)
    socket.once('close', () => open.delete(socket))
    return socket
  }
  return {
    connect,
    destroy() {
      closed = true
      for (const socket of open) socket.destroy(new Error('the connection to Kafka is closed'))
    },
  }
}
