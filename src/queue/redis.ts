import { isIP } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Cluster, type ClusterNode, Redis, type RedisOptions, ReplyError } from 'ioredis'
import { pause } from '../deadline.ts'
import type { Log } from '../log.ts'
import { databaseOf, isHostPort, parseHostPort, type RedisConfig } from './redis-config.ts'
import { scripts } from './scripts.ts'
import { connectorOf, leadsTo, openSentinels, type Sentinels } from './sentinels.ts'

/** One server, a Sentinel's master or a Cluster: the commands are the same. */
export type Client = Redis

/** Redis cannot take a command now: away, loading, failing over. The API answers 503. */
export class RedisUnavailable extends Error {
  override readonly name = 'RedisUnavailable'
}

type Patience = 'patient' | 'impatient'

/** Within this time a client has noticed that a connection is dead, and uses a new one. */
const SILENCE_MS = { patient: 10_000, impatient: 3000 }
/** Trouble with the nodes of a Cluster is logged no more often. */
const NODE_TROUBLE_MS = 60_000

/**
 * A connection that comes back by itself, whatever happens; the caller closes it with `disconnect()`.
 *
 * @param patience `patient` for workers: commands wait for Redis, and are sent again when they were not answered;
 *   `impatient` for the API: a command fails within a second, and is not sent again; a Redis that was frozen may still
 *   carry out what it had got
 */
export function connect(config: RedisConfig, patience: Patience, log: Log): Client {
  const { client, sentinels } = create(config, patience)
  // Connection errors come with every try to reconnect: say it once, and once when it is over.
  let troubled = false
  let closing = false
  const { disconnect } = client
  client.disconnect = (reconnect = false) => {
    closing ||= !reconnect // ioredis itself disconnects to connect anew
    if (closing) {
      clearInterval(heartbeat)
      sentinels?.close()
    }
    disconnect.call(client, reconnect)
  }
  // Silence is noticed where an answer is missing: something has to be asked, of a subscriber, too.
  const heartbeat = setInterval(() => {
    if (client.status === 'ready') client.ping().catch(() => {})
  }, SILENCE_MS[patience] / 2).unref()
  client.setMaxListeners(0) // whoever waits for a connection listens
  const away = (reason: string) => {
    if (!troubled) log.warn({ error: reason }, 'Redis is away')
    troubled = true
  }
  client.on('error', (error: Error) => away(error.message))
  let nodeSaidAt = Number.NEGATIVE_INFINITY
  client.on('node error', (error: Error, node: string) => {
    if (performance.now() - nodeSaidAt < NODE_TROUBLE_MS) return // it comes with every try
    nodeSaidAt = performance.now()
    log.warn({ node, error: error.message }, 'a node of the Redis Cluster cannot be reached')
  })
  client.on('reconnecting', () => away('the connection was lost'))
  client.on('ready', () => {
    if (troubled) log.info('Redis is back')
    troubled = false
  })
  // `end` is final for ioredis, not for us.
  client.on('end', () => {
    if (closing) return
    setTimeout(() => {
      if (!closing && client.status === 'end') client.connect().catch(() => {})
    }, 1000)
  })
  return client
}

function create(config: RedisConfig, patience: Patience): { client: Client; sentinels?: Sentinels } {
  const common: RedisOptions = {
    connectTimeout: 5000,
    maxLoadingRetryTime: 500,
    autoResubscribe: false, // who subscribes does it anew, and then makes up for what it missed
    retryStrategy: (times) => Math.min(20 * 2 ** Math.min(times, 7), 1000) + Math.random() * 100,
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
    socketTimeout: SILENCE_MS[patience],
    ...(patience === 'patient'
      ? { maxRetriesPerRequest: null }
      : { maxRetriesPerRequest: 0, autoResendUnfulfilledCommands: false, commandTimeout: IMPATIENT_MS }),
  }
  // In a pipeline a command waits for the answers to the one before, and is sent even when its caller has given up.
  const enableAutoPipelining = patience === 'patient'
  const options: RedisOptions = { ...common, enableAutoPipelining, scripts, ...location(config) }
  if (config.cluster) return { client: clusterOf(config.cluster.map(parseHostPort), options, patience) }
  if (config.sentinel) return behindSentinels(config, options)
  return { client: new Redis({ ...options, replyMapping: 'legacy' }) }
}

function behindSentinels(config: RedisConfig, options: RedisOptions): { client: Client; sentinels: Sentinels } {
  const sentinels = openSentinels({
    sentinels: (config.sentinel ?? []).map(parseHostPort),
    name: config.master_name ?? '',
    password: config.sentinel_password,
    onNews: () => void follow(),
  })
  const client = new Redis({ ...options, replyMapping: 'legacy', Connector: connectorOf(sentinels, options.tls) })
  return { client, sentinels }

  async function follow(): Promise<void> {
    const address = await sentinels.master().catch(() => undefined)
    if (address && client.status === 'ready' && !leadsTo(client.stream, address)) client.disconnect(true)
  }
}

function clusterOf(nodes: ClusterNode[], options: RedisOptions, patience: Patience): Client {
  const { host: _host, port: _port, scripts: _scripts, enableAutoPipelining: _auto, ...redisOptions } = options
  const clusterOptions = {
    replyMapping: 'legacy' as const,
    redisOptions: redisOptions as Record<string, never>,
    scripts,
    // No pipelines: one that was sent to another node once (MOVED) clings to that node when it dies (ioredis 6.0.0,
    // `preferKey`), until all its redirections are used up.
    enableAutoPipelining: false,
    clusterRetryStrategy: (times: number) => Math.min(20 * 2 ** Math.min(times, 7), 1000),
    // An impatient command is given up before its dead connection is. When that is, ioredis would send it to the next
    // master, behind the caller's back; nor must it wait for a Cluster that is away. So the slots are looked up often.
    ...(patience === 'patient'
      ? { retryDelayOnFailover: 200, maxRedirections: 32, slotsRefreshInterval: 5000 }
      : {
          retryDelayOnFailover: 0,
          retryDelayOnClusterDown: 0,
          retryDelayOnTryAgain: 0,
          maxRedirections: 6,
          enableOfflineQueue: false,
          slotsRefreshInterval: 1000,
        }),
    // ioredis connects to no node at all when the name of one has no address: every connection is to look up its own.
    dnsLookup: (name: string, callback: (error: null, address: string) => void) => callback(null, name),
  }
  return new Cluster(nodes, clusterOptions) as unknown as Client
}

function location(config: RedisConfig): RedisOptions {
  const options: RedisOptions = {}
  if (config.url) {
    const url = new URL(config.url)
    if (url.protocol === 'unix:') options.path = decodeURIComponent(url.pathname)
    else
      Object.assign(options, {
        host: url.hostname.replace(/^\[|\]$/g, '') || '127.0.0.1',
        port: Number(url.port || 6379),
      })
    if (url.protocol === 'rediss:') {
      // TLS names no addresses (RFC 6066); and behind Sentinel or in a Cluster the URL's host is nobody's
      const named = isIP(options.host ?? '') === 0 && !config.sentinel && !config.cluster
      options.tls = named ? { servername: url.hostname } : {}
    }
    if (url.username) options.username = decodeURIComponent(url.username)
    if (url.password) options.password = decodeURIComponent(url.password)
    const db = databaseOf(url)
    if (db) options.db = Number(db)
  } else if (config.addr) {
    Object.assign(options, isHostPort(config.addr) ? parseHostPort(config.addr) : { path: config.addr })
  }
  return options
}

const IMPATIENT_MS = 900

/** Runs a command of an impatient client; waits a moment for a connection that is about to be ready. */
export async function promptly<T>(client: Client, command: () => Promise<T>): Promise<T> {
  if (client.status !== 'ready') {
    const settled = new AbortController()
    const ready = () => settled.abort()
    client.once('ready', ready)
    await delay(IMPATIENT_MS, undefined, { signal: settled.signal }).catch(() => {})
    client.off('ready', ready)
  }
  if (client.status !== 'ready') throw new RedisUnavailable('Redis cannot be reached')
  try {
    return await command()
  } catch (error) {
    if (isPassing(error)) throw new RedisUnavailable('Redis did not take the command', { cause: error })
    throw error
  }
}

type Methods = { [name: string]: (...args: never[]) => Promise<unknown> }

/** The same methods: each answers within about a second, or rejects with `RedisUnavailable`. */
export function allPromptly<T extends { [name in keyof T]: Methods[string] }>(client: Client, methods: T): T {
  const prompt = ([name, method]: [string, Methods[string]]) => [
    name,
    (...args: never[]) => promptly(client, () => method(...args)),
  ]
  return Object.fromEntries(Object.entries<Methods[string]>(methods).map(prompt)) as T
}

/** An answer that is under way when we are told to stop is waited for this long. */
const LAST_ANSWER_MS = 2000

/**
 * Repeats a command until Redis has answered it; rejects for a bug at once, and soon after `signal` aborts.
 * The command must be one that may be repeated.
 */
export async function persistently<T>(command: () => Promise<T>, signal: AbortSignal, log: Log): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await unlessAborted(command(), signal)
    } catch (error) {
      if (!isPassing(error)) throw error
      signal.throwIfAborted()
      log.debug({ error: String(error) }, 'Redis did not take the command: trying again')
      await pause(Math.min(20 * 2 ** Math.min(failures, 7), 1000) * (0.5 + Math.random()), signal)
      signal.throwIfAborted()
    }
  }
}

function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const onAbort = () => {
      timer = setTimeout(() => reject(signal.reason), LAST_ANSWER_MS)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    answer.then(resolve, reject).finally(() => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    })
  })
}

// Replies that say "not now". Every other error reply means that our command or script is wrong.
const PASSING =
  /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK|NOREPLICAS|BUSY|OOM|MISCONF|NOSCRIPT|UNKILLABLE|NOAUTH|WRONGPASS|ERR max number of clients)/

function isPassing(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof ReplyError || error.name === 'ReplyError') {
    // a script that hit such a reply quotes it
    return (
      PASSING.test(error.message) ||
      /-(READONLY|OOM|MISCONF|NOREPLICAS)|MASTERDOWN|READONLY|OOM command/.test(error.message)
    )
  }
  return !(error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError)
}
