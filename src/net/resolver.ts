import dns, { type RecordWithTtl } from 'node:dns'
import { isIP } from 'node:net'
import pLimit from 'p-limit'
import { JobError } from '../jobs/errors.ts'
import { changeDetector, hostsFile } from './hosts-file.ts'
import { searchList } from './search-list.ts'
import { isLocal, systemNames } from './system-names.ts'

export interface ResolvedAddress {
  address: string
  family: 4 | 6
}

/** Finds the addresses of host names without holding up the thread pool, which does the fsyncs. */
export interface Resolver {
  /**
   * At least one address, those of IPv4 first; an IP literal is its own address. They are not judged: see `AddressGuard`.
   *
   * @throws {JobError} `dns.not_found`, `dns.no_address`, `dns.timeout`, `dns.failed`, which may be otherwise the next
   *   time; `dns.bad_name`, which will not
   */
  resolve(host: string): Promise<readonly ResolvedAddress[]>
  /** Ends the queries that are under way. */
  close(): void
}

export interface ResolverOptions {
  /** DNS servers as `address:port`; those of `/etc/resolv.conf` when absent. */
  servers?: readonly string[]
  hostsFile?: string
  resolvConf?: string
  nsswitchConf?: string
  /** Longest time that one name may take. */
  timeoutMs?: number
  /** Most names kept, each as long as its records may be, but 30 s at most. */
  cacheSize?: number
  /** Asked about names that DNS does not know and nsswitch.conf has somebody for: mDNS and whatever else there is. */
  systemLookup?: (host: string) => Promise<readonly ResolvedAddress[]>
}

interface Answer {
  addresses: ResolvedAddress[]
  ttlMs: number
}

/** RFC 8305, section 3: how long the second family is waited for once the first has answered with addresses. */
const secondFamilyMs = 300
const longestTtlMs = 30_000
/** What the system found brings no time to live. */
const systemTtlMs = 5000
/** When a look-up has to be over, by `performance.now()`, and how long it may take in all. */
interface Deadline {
  at: number
  ms: number
}

/**
 * `dns.lookup` is getaddrinfo on the thread pool that fsync and zlib share: a few names whose servers do not answer
 * would stop every write. So names go to c-ares, which has sockets of its own, also in the search domains. To getaddrinfo
 * goes what neither knows if nsswitch.conf has somebody else to ask, one name at a time; and one local name at a time,
 * beside it: a call cannot be taken back, and strangers, whose servers may keep it waiting, are to hold up no local name.
 */
export function resolver(options: ResolverOptions = {}): Resolver {
  const { timeoutMs = 5000, cacheSize = 1000, systemLookup = getaddrinfo } = options
  const hosts = hostsFile(options.hostsFile ?? '/etc/hosts')
  const channel = aresChannel(options, timeoutMs)
  const mayKnow = systemNames(options.nsswitchConf ?? '/etc/nsswitch.conf')
  const searched = searchList(options.resolvConf ?? '/etc/resolv.conf')
  const turns = { local: pLimit(1), other: pLimit(1) }
  const underWay = new Map<string, Promise<readonly ResolvedAddress[]>>()
  const cache = new Map<string, { addresses: readonly ResolvedAddress[]; until: number }>()

  async function look(host: string): Promise<readonly ResolvedAddress[]> {
    const deadline = { at: performance.now() + timeoutMs, ms: timeoutMs }
    const answer = await askDns(host, deadline).catch((error: unknown) => {
      if (!(error instanceof Unknown)) throw error
      if (!mayKnow(host)) throw error.failure
      return askSystem(host, deadline, error.failure)
    })
    keep(host, answer)
    return answer.addresses
  }

  /** As the name stands, and then in the search domains. */
  async function askDns(host: string, deadline: Deadline): Promise<Answer> {
    let unknown: Unknown | undefined
    for (const name of [host, ...searched().map((domain) => `${host}.${domain}`)]) {
      try {
        if (isName(name)) return await queryDns(channel, name, deadline)
      } catch (error) {
        if (!(error instanceof Unknown)) throw error
        unknown ??= error
      }
    }
    throw unknown
  }

  async function askSystem(host: string, deadline: Deadline, unknown: JobError): Promise<Answer> {
    const isOver = () => performance.now() >= deadline.at
    const turn = turns[isLocal(host) ? 'local' : 'other']
    const lookup = turn(async () => (isOver() ? [] : systemLookup(host))).catch(() => [])
    const addresses = await within(deadline.at - performance.now(), lookup, undefined)
    if (addresses === undefined) throw tooLate(host, deadline, unknown.cause)
    if (addresses.length === 0) throw unknown
    return { addresses: [...addresses], ttlMs: systemTtlMs }
  }

  function keep(host: string, { addresses, ttlMs }: Answer): void {
    if (ttlMs <= 0) return
    cache.delete(host)
    cache.set(host, { addresses, until: performance.now() + Math.min(ttlMs, longestTtlMs) })
    const [oldest] = cache.keys()
    if (cache.size > cacheSize && oldest !== undefined) cache.delete(oldest)
  }

  return {
    async resolve(host) {
      const name = canonical(host)
      if (!isName(name)) throw badName(name)
      const known = literal(name) ?? fromHosts(hosts(name)) ?? reserved(name)
      if (known !== undefined) return known
      const cached = cache.get(name)
      if (cached !== undefined && performance.now() < cached.until) return cached.addresses

      const other = underWay.get(name)
      if (other !== undefined) return other
      const lookup = look(name).finally(() => underWay.delete(name))
      underWay.set(name, lookup)
      return lookup
    },
    close: channel.close,
  }
}

/** The addresses of a host that nobody needs to be asked for: a literal, or localhost (RFC 6761); undefined for others. */
export function knownAddresses(host: string): ResolvedAddress[] | undefined {
  const name = canonical(host)
  return literal(name) ?? localhost(name)
}

const canonical = (host: string) => host.toLowerCase().replace(/\.$/, '')

/** RFC 1035, section 2.3.4. Any byte may be in a label: what is in no zone does not exist. An address is as good as a name. */
function isName(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => label.length > 0 && label.length <= 63)
}

function literal(name: string): ResolvedAddress[] | undefined {
  const address = name.startsWith('[') ? name.slice(1, -1) : name
  const family = isIP(address)
  return family === 4 || family === 6 ? [{ address, family }] : undefined
}

function fromHosts(addresses: readonly string[]): ResolvedAddress[] | undefined {
  return addresses.length > 0 ? ipv4First(addresses.flatMap((address) => literal(address) ?? [])) : undefined
}

/** RFC 6761: these names are never asked for. */
function reserved(name: string): ResolvedAddress[] | undefined {
  if (/(^|\.)invalid$/.test(name)) throw notFound(name)
  return localhost(name)
}

function localhost(name: string): ResolvedAddress[] | undefined {
  if (!/(^|\.)localhost$/.test(name)) return undefined
  return [
    { address: '127.0.0.1', family: 4 },
    { address: '::1', family: 6 },
  ]
}

/** IPv4 first: many hosts have an IPv6 address and no way to use it, and nobody sorts c-ares's answers for us. */
function ipv4First(addresses: readonly ResolvedAddress[]): ResolvedAddress[] {
  return [...addresses].sort((a, b) => a.family - b.family)
}

interface Channel {
  /** Rejects with c-ares's own errors. */
  resolve(host: string, family: 4 | 6): Promise<RecordWithTtl[]>
  /** Ends the queries that are under way. */
  close(): void
}

/**
 * Made anew when `resolv.conf` changes: c-ares reads it once. One answer that is garbage ends whatever waits at the same
 * socket (c-ares 1.34.8), so each that ended so is asked for once more, alone.
 */
function aresChannel({ servers, resolvConf = '/etc/resolv.conf' }: ResolverOptions, timeoutMs: number): Channel {
  const changed = changeDetector(resolvConf)
  const make = () => {
    // for each try, at least: c-ares grows more patient with each, so ours is the clock that ends a lookup
    const made = new dns.promises.Resolver({ timeout: Math.ceil(timeoutMs / 3), tries: 3 })
    if (servers !== undefined) made.setServers(servers)
    return made
  }
  changed()
  let shared = make()
  const alone = new Set<dns.promises.Resolver>()

  async function askAlone(host: string, family: 4 | 6): Promise<RecordWithTtl[]> {
    const own = make()
    alone.add(own)
    return query(own, host, family).finally(() => alone.delete(own))
  }

  return {
    resolve(host, family) {
      if (servers === undefined && changed()) shared = make() // what runs on the old one ends by itself
      return query(shared, host, family).catch((error: unknown) => {
        if (codeOf(error) !== dns.BADRESP) throw error
        return askAlone(host, family)
      })
    },
    close() {
      for (const one of [shared, ...alone]) one.cancel()
    },
  }
}

const query = (channel: dns.promises.Resolver, host: string, family: 4 | 6): Promise<RecordWithTtl[]> =>
  family === 4 ? channel.resolve4(host, { ttl: true }) : channel.resolve6(host, { ttl: true })

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : 'unknown')

/** Both families at once; the second is not waited for long once the first has addresses. */
async function queryDns(channel: Channel, host: string, deadline: Deadline): Promise<Answer> {
  const found: Answer[] = []
  const errors: unknown[] = []
  const ask = async (family: 4 | 6) => {
    try {
      const records = await channel.resolve(host, family)
      if (records.length === 0) throw Object.assign(new Error('an alias of nothing'), { code: dns.NODATA })
      const ttlMs = Math.min(...records.map(({ ttl }) => ttl * 1000))
      found.push({ addresses: records.map(({ address }) => ({ address, family })), ttlMs })
    } catch (error) {
      errors.push(error)
    }
  }
  const families = [ask(4), ask(6)]
  const both = Promise.all(families)
  const enough = Promise.race(families).then(() => (found.length > 0 ? within(secondFamilyMs, both, undefined) : both))
  await within(deadline.at - performance.now(), enough, undefined)
  if (found.length === 0) throw dnsFailure(host, errors, deadline)
  return {
    addresses: ipv4First(found.flatMap(({ addresses }) => addresses)),
    ttlMs: Math.min(...found.map(({ ttlMs }) => ttlMs)),
  }
}

/** DNS knows no address, or no server wanted to talk to us: the system may know more. */
class Unknown extends Error {
  override readonly name = 'Unknown'
  /** When the system knows nothing either. */
  readonly failure: JobError

  constructor(failure: JobError) {
    super(failure.message)
    this.failure = failure
  }
}

const unwilling = new Set<string>([dns.REFUSED, dns.CONNREFUSED])
const unknown = new Set<string>([dns.NOTFOUND, dns.NODATA, dns.BADNAME, dns.NONAME, ...unwilling])

function dnsFailure(host: string, errors: readonly unknown[], deadline: Deadline): JobError | Unknown {
  const codes = errors.map(codeOf)
  const [cause] = errors
  const other = codes.find((code) => !unknown.has(code))
  if (errors.length < 2 || other === dns.TIMEOUT) {
    return tooLate(host, deadline, cause)
  }
  const failed = (code: string) =>
    new JobError('dns.failed', `DNS lookup of ${host} failed: ${code}`, { retriable: true, cause })
  if (other !== undefined) return failed(other)
  const refusing = codes.find((code) => unwilling.has(code))
  if (refusing !== undefined) return new Unknown(failed(refusing))
  return new Unknown(codes.includes(dns.NODATA) ? noAddress(host, cause) : notFound(host, cause))
}

function tooLate(host: string, { ms }: Deadline, cause: unknown): JobError {
  return new JobError('dns.timeout', `DNS did not answer for ${host} within ${ms} ms`, { retriable: true, cause })
}

function badName(host: string): JobError {
  const text = `${host.slice(0, 80)} is no name that DNS could know`
  return new JobError('dns.bad_name', text, { retriable: false })
}

function noAddress(host: string, cause: unknown): JobError {
  return new JobError('dns.no_address', `${host} exists, but has no address`, { retriable: true, cause })
}

function notFound(host: string, cause?: unknown): JobError {
  return new JobError('dns.not_found', `no address found for host ${host}`, { retriable: true, cause })
}

async function getaddrinfo(host: string): Promise<ResolvedAddress[]> {
  const found = await dns.promises.lookup(host, { all: true })
  return ipv4First(found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 })))
}

/** The result of `work`, or `late` when that takes longer than `ms`. */
async function within<T, Late>(ms: number, work: Promise<T>, late: Late): Promise<T | Late> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<Late>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms), late)
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}
