import { EventEmitter, once } from 'node:events'
import { connect as connectTcp, isIP, type NetConnectOpts, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { AbstractConnector, Redis } from 'ioredis'

interface Address {
  host: string
  port: number
}

export interface SentinelOptions {
  sentinels: Address[]
  /** Of the master, as the Sentinels know it. */
  name: string
  password?: string | undefined
  /** Called when a Sentinel names another master, or can be asked anew. */
  onNews: () => void
}

export interface Sentinels {
  /**
   * Where the master is, by the newest configuration that a Sentinel has.
   *
   * @throws when no Sentinel says so within a second
   */
  master(): Promise<Address>
  close(): void
}

const ANSWER_MS = 1000
/** What a Sentinel says when it knows of another master: the one that leads the failover first, then the others. */
const NEWS = ['+failover-state-reconf-slaves', '+switch-master']
/** Within this time a dead connection to a Sentinel is noticed. */
const SILENCE_MS = 10_000

/**
 * Keeps a connection to every Sentinel. ioredis' own Sentinel client does not serve: it believes the first one that
 * answers, which may be the last one to learn of a failover; it waits for ever for one that is frozen; and it stays
 * with an old master that still lives, which the Sentinels make a replica only 8 to 10 s after they have named another.
 * What an old master takes is lost.
 */
export function openSentinels({ sentinels, name, password, onNews }: SentinelOptions): Sentinels {
  const troubles = new Map<Redis, string>()
  const arrivals = new EventEmitter()
  const clients = sentinels.map((address) => {
    const client = new Redis({
      ...address,
      ...(password && { password }),
      connectTimeout: 5000,
      commandTimeout: ANSWER_MS,
      socketTimeout: SILENCE_MS,
      autoResubscribe: false,
      enableReadyCheck: false, // a Sentinel says less of itself
      retryStrategy: (times) => Math.min(50 * times, 2000),
    })
    client.on('error', (error: Error) => troubles.set(client, error.message))
    client.on('ready', () => {
      client.subscribe(...NEWS).catch(() => {})
      arrivals.emit('ready')
      onNews() // it may have been said while nobody listened
    })
    client.on('message', onNews) // of another master, perhaps: then it is asked for nothing
    return client
  })
  // Silence is noticed where an answer is missing.
  const heartbeat = setInterval(() => {
    for (const client of clients) if (client.status === 'ready') client.ping().catch(() => {})
  }, SILENCE_MS / 2).unref()

  /** Beside the subscription, which takes RESP3: Redis 6. */
  async function ask(client: Redis): Promise<{ address: Address; epoch: number }> {
    const [address, master] = await Promise.all([
      client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name),
      client.call('SENTINEL', 'MASTER', name),
    ])
    const [host = '', port] = texts(address)
    const fields = texts(master)
    return { address: { host, port: Number(port) }, epoch: Number(fields[fields.indexOf('config-epoch') + 1]) }
  }

  return {
    async master() {
      const ready = () => clients.filter(({ status }) => status === 'ready')
      if (ready().length === 0)
        await once(arrivals, 'ready', { signal: AbortSignal.timeout(ANSWER_MS) }).catch(() => {})
      const asked = ready().map((client) => {
        return ask(client).catch((error: Error) => {
          troubles.set(client, error.message)
        })
      })
      const answers = (await Promise.all(asked)).filter((answer) => answer !== undefined)
      const [newest] = answers.sort((a, b) => b.epoch - a.epoch)
      if (newest) return newest.address
      const why = [...new Set(troubles.values())].join('; ')
      throw new Error(`no Sentinel says where the master ${name} is${why && `: ${why}`}`)
    },
    close() {
      clearInterval(heartbeat)
      for (const client of clients) client.disconnect()
    },
  }
}

const texts = (reply: unknown) => (Array.isArray(reply) ? reply.map(String) : [])

/** For ioredis' option `Connector`, which wants a class: connects to the master that the Sentinels name. */
export function connectorOf(sentinels: Pick<Sentinels, 'master'>, tls: ConnectionOptions | undefined) {
  return class extends AbstractConnector {
    constructor(options: unknown) {
      super((options as { disconnectTimeout: number }).disconnectTimeout)
    }

    override async connect(emit: (event: string, error: Error) => void) {
      this.connecting = true
      for (let tries = 1; ; tries++) {
        const address = await sentinels.master().catch((error: Error) => emit('error', error))
        if (!this.connecting) throw new Error('Connection is closed.')
        if (address) {
          this.stream = tls ? connectTls({ ...address, ...tls }) : connectTcp(address satisfies NetConnectOpts)
          this.stream.once('error', (error) => {
            this.firstError = error
          })
          return this.stream
        }
        await delay(Math.min(20 * tries, 500))
      }
    }

    /** A master that was replaced may be found before the Sentinels are. */
    override check({ role = 'master' }: { role?: string }) {
      return role === 'master'
    }
  }
}

/** Whether a connection goes to this address; of a name only the port is compared. */
export function leadsTo({ remoteAddress, remotePort }: Socket, { host, port }: Address): boolean {
  return remotePort === port && (isIP(host) === 0 || remoteAddress === host)
}
