import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from './eventually.ts'
import type { Origin } from './http-origin.ts'
import type { FailoverKind, Replicated } from './replication.ts'
import { type Service, startRole, startService } from './service.ts'

const LEASE_MS = 3000
/** What follows a failover is to be over within this, from the moment that there is a new master, ms. */
const RECOVERY_MS = LEASE_MS + 5000
const GROUPS = ['red', 'green', 'blue']
const LIMIT = 2
const POSTERS = 4
const POST_EVERY_MS = 150
const DOWNLOAD_MS = 150

/** Two processors, a notifier and an API on a set of servers. */
export function serviceOn(set: Replicated, redis: Record<string, unknown> = {}): Promise<Service> {
  const [first] = set.nodes
  assert.ok(first)
  const worker = { lease_ms: LEASE_MS }
  return startService({
    redis: first,
    roles: ['api', 'processor', 'processor', 'notifier'],
    config: { redis: { addr: undefined, ...set.config, ...redis }, processor: worker, notifier: worker },
    env: { LOG_LEVEL: 'info' },
  })
}

export interface Post {
  /** By `performance.now()`. */
  at: number
  ms: number
  /** 0 when no answer came. */
  status: number
  id: string
}

/** Steady POSTs, and what origin and clients saw of them. */
export interface Load {
  posts: Post[]
  /** Most requests that the origin ever had open of one group. */
  highest(): number
  /** No more POSTs from now on; resolves when the last one is answered. */
  stop(): Promise<void>
}

export function startLoad(service: Service, origin: Origin): Load {
  const open = new Map<string, number>()
  let highest = 0
  const urls = GROUPS.map((group) =>
    origin.on(`/${group}`, (_request, response) => {
      const now = (open.get(group) ?? 0) + 1
      open.set(group, now)
      highest = Math.max(highest, now)
      let over = false
      const end = () => {
        if (!over) open.set(group, (open.get(group) ?? 0) - 1)
        over = true
      }
      const timer = setTimeout(() => {
        end() // all is sent: the next one of the group may come before this connection is closed
        response.end(group)
      }, DOWNLOAD_MS)
      response.once('close', () => {
        clearTimeout(timer)
        end()
      })
    }),
  )
  const posts: Post[] = []
  const over = new AbortController()

  async function post(n: number): Promise<void> {
    const at = performance.now()
    const job = {
      aggr_id: GROUPS[n % GROUPS.length],
      aggr_limit: LIMIT,
      url: urls[n % GROUPS.length],
      callback_type: 'http',
      callback_dst: service.receiver.url,
    }
    const entry: Post = { at, ms: 0, status: 0, id: '' }
    try {
      const response = await service.post('/download', job)
      entry.status = response.status
      entry.id = ((await response.json()) as { id?: string }).id ?? ''
    } catch {
      // no answer: the client does not know
    }
    entry.ms = performance.now() - at
    posts.push(entry)
  }

  const posters = Array.from({ length: POSTERS }, async (_, poster) => {
    for (let n = poster; !over.signal.aborted; n += POSTERS) {
      await post(n)
      await delay(POST_EVERY_MS)
    }
  })
  return {
    posts,
    highest: () => highest,
    async stop() {
      over.abort()
      await Promise.all(posters)
    },
  }
}

/** What one failover did; times in ms. */
export interface FailoverReport {
  how: FailoverKind
  /** Until the servers agreed on the new master. */
  newMasterMs: number
  /** From the fault until a POST was accepted of those that began after it, and after the last one that was refused. */
  acceptsAgainMs: number
  /** By `performance.now()`. */
  beganAt: number
  /** From the fault until the first callback of such a job. */
  worksAgainMs: number
  refused: number
  slowestPostMs: number
}

/**
 * Lets the master fail under load; resolves when jobs that are posted afterwards are downloaded and called back. One
 * that was killed comes back once there is another: with one replica, `wait_replicas` has nobody to wait for until then.
 */
export async function failOver(
  set: Replicated,
  how: FailoverKind,
  service: Service,
  load: Load,
): Promise<FailoverReport> {
  const began = performance.now()
  const before = load.posts.length
  const old = await set.failover(how)
  const newMasterMs = performance.now() - began
  if (how === 'killed') await old.start()
  // Posted once there is a new master, so that it cannot be one of those that only the old one had.
  const switched = performance.now()
  const first = await eventually(() => {
    const accepted = load.posts.find(({ at, status }) => at > switched && status === 201)
    assert.ok(accepted, `no POST was accepted; the last answers: ${load.posts.slice(-5).map(({ status }) => status)}`)
    return accepted
  }, RECOVERY_MS)
  await service.receiver.callbackOf(first.id, RECOVERY_MS)
  const worksAgainMs = performance.now() - began
  const posts = load.posts.slice(before)
  const lastRefused = posts.findLast(({ status }) => status !== 201)
  const again = posts.find(({ at, status }) => status === 201 && at > (lastRefused?.at ?? began))
  return {
    how,
    beganAt: began,
    newMasterMs,
    acceptsAgainMs: again ? again.at + again.ms - began : Number.NaN,
    worksAgainMs,
    refused: posts.filter(({ status }) => status !== 201).length,
    slowestPostMs: Math.max(...posts.map(({ ms }) => ms)),
  }
}

/** What became of the jobs once nothing is posted any more. */
export interface Account {
  accepted: number
  /** Answered with 201, not called back, and unknown to the master that there is now. */
  lost: Post[]
  calledBackTwice: number
}

/**
 * Waits until every accepted job is called back, or is one that the master does not know.
 *
 * @throws when a job is neither: then it sticks
 */
export async function account(set: Replicated, service: Service, load: Load): Promise<Account> {
  const accepted = load.posts.filter(({ status }) => status === 201)
  const master = await set.master()
  const lost = new Set<Post>()
  await eventually(async () => {
    const callbacks = new Set(service.receiver.received.map(({ callback }) => callback.job_id))
    const open = accepted.filter((post) => !callbacks.has(post.id) && !lost.has(post))
    for (const post of open) {
      const { id } = post
      const known = await master.cli('EXISTS', `{downloader}:request:${id}`, `{downloader}:state:${id}`)
      if (known === '0') lost.add(post)
    }
    const stuck = open.filter((post) => !lost.has(post))
    assert.deepEqual(stuck, [], 'jobs that the master has, and that nobody was called back for')
  }, 2 * RECOVERY_MS)
  const received = service.receiver.received.length
  const distinct = new Set(service.receiver.received.map(({ callback }) => callback.job_id)).size
  return { accepted: accepted.length, lost: [...lost], calledBackTwice: received - distinct }
}

/** What must hold after any number of failovers. */
export async function assertUnharmed(service: Service, load: Load): Promise<void> {
  assert.ok(load.highest() <= LIMIT, `${load.highest()} requests of one group were open, and its limit is ${LIMIT}`)
  assert.ok(load.highest() > 0)
  const answers = new Set(load.posts.map(({ status }) => status))
  assert.deepEqual(
    [...answers].filter((status) => status !== 201 && status !== 503),
    [],
    'answers to POSTs',
  )
  for (const { name, child, logs, stderr } of service.roles) {
    assert.equal(child.exitCode ?? child.signalCode, null, `${name} still runs`)
    assert.deepEqual(
      logs.filter(({ level }) => ['error', 'fatal'].includes(String(level))),
      [],
      `${name} has met no bug`,
    )
    assert.equal(stderr(), '', `${name} wrote nothing but its log`)
  }
  const check = startRole(['check', '-c', service.configFile])
  assert.equal(await check.ended, 0, check.stdout())
}

/** One line, for the figures in docs/operations.md. */
export function lineOf({ how, newMasterMs, acceptsAgainMs, worksAgainMs, refused, slowestPostMs }: FailoverReport) {
  const [master, accepts, works, post] = [newMasterMs, acceptsAgainMs, worksAgainMs, slowestPostMs].map(Math.round)
  return `${how}: new master ${master}, POST ${accepts}, callback ${works} ms; ${refused} refused, slowest ${post} ms`
}
