import assert from 'node:assert/strict'
import fc from 'fast-check'
import { hostOf } from '../../../src/jobs/host.ts'
import { termsOf } from '../../../src/jobs/places.ts'
import { packRequest } from '../../../src/jobs/record.ts'
import type { Claim, Room } from '../../../src/queue/room.ts'
import { freezeClock } from '../../support/frozen-clock.ts'
import { addByScript, never, openQueue, request } from '../../support/queue.ts'
import { checkInvariants, type Dump, dumpOf } from '../../support/queue-invariants.ts'
import type { TestRedis } from '../../support/redis.ts'

const LEASE_MS = 10_000
const LIMITS = { cats: 1, dogs: 2, birds: 30 } as const
/** Of the birds; all of their burst comes back in longer than a lease. */
const RATE = { perSecond: 0.05, burst: 3 }
const HOSTS = ['one.example', 'two.example'] as const
const HOST_LIMIT = 2
const WORKERS = 3
/** Within this time every worker that can reach Redis has called again: connections are made anew within a second. */
const RETURN_MS = 1500

const group = fc.constantFrom('cats' as const, 'dogs' as const, 'birds' as const)
const worker = fc.nat(WORKERS - 1)
const which = fc.nat(1000)
const to = <K extends string>(what: K) => ({ do: fc.constant(what) })
const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })

const step = fc.oneof(
  weighted(
    3,
    fc.record({ ...to('add'), group, host: fc.constantFrom(...HOSTS), count: fc.integer({ min: 1, max: 3 }) }),
  ),
  weighted(8, fc.record({ ...to('claim'), worker, count: fc.integer({ min: 0, max: 3 }), leaves: fc.boolean() })),
  weighted(3, fc.record({ ...to('extend'), worker })),
  weighted(
    4,
    fc.record({
      ...to('settle'),
      which,
      kind: fc.constantFrom('gone' as const, 'back' as const),
      says: fc.constantFrom('' as const, 'ok' as const, 'throttled' as const, 'down' as const),
      count: fc.constantFrom(1, 1, 10),
    }),
  ),
  weighted(4, fc.record({ ...to('wait'), ms: fc.constantFrom(1, 500, 3000, 9000) })),
  weighted(1, fc.record({ ...to('crash'), worker })),
  weighted(2, fc.record({ ...to('forget'), steps: fc.integer({ min: 0, max: 12 }) })),
)
export type ForgetfulStep = typeof step extends fc.Arbitrary<infer T> ? T : never
export const forgetfulHistory = fc.array(step, { maxLength: 80, size: 'max' })

/** A claim as its worker sees it. It works on it until it is settled, lost, or its lease is over. */
interface Held {
  claim: Claim
  until: number
  left: boolean
}

interface Worker {
  room: Room
  held: Map<string, Held>
  /** Has called since Redis came back. */
  returned: boolean
}

/**
 * Workers and a Redis that goes back, again and again, to what it was some steps ago, as after a failover to a replica
 * that lagged. What it answers cannot be predicted any more. But what the workers work on, as they see it, must never
 * be over a limit, and no job is worked on twice at a time.
 */
export async function forgetfulWorld(server: TestRedis) {
  const q = openQueue(server)
  await q.redis.flushall()
  const clock = await freezeClock(q.redis)
  const workers = Array.from({ length: WORKERS }, start)
  // A room that nobody ever called knows of no server: its very first call cannot be forgotten safely.
  await at(workers, 0).room.claim(0, never)
  const past: Dump[] = [await dumpOf(q.redis, q.base)]
  let jobs = 0
  let lostAt = -Infinity
  /** When birds began. */
  const starts: number[] = []

  function start(): Worker {
    return { room: q.room({ leaseMs: LEASE_MS, hostLimit: HOST_LIMIT }), held: new Map(), returned: true }
  }

  function working(): { id: string; held: Held }[] {
    const all = workers.flatMap(({ held }) => [...held].map(([id, held]) => ({ id, held })))
    return all.filter(({ held }) => held.until > clock.now)
  }

  function checkLimits(): void {
    const now = working()
    for (const [group, limit] of Object.entries(LIMITS)) {
      const running = now.filter(({ held }) => held.claim.group === group && !held.left).length
      assert.ok(running <= limit, `${running} jobs of ${group} run, and ${limit} may`)
    }
    for (const host of HOSTS) {
      const running = now.filter(({ held }) => hostOfClaim(held.claim) === host && !held.left).length
      assert.ok(running <= HOST_LIMIT, `${running} jobs ask ${host}`)
    }
    starts.forEach((first, i) => {
      const most = RATE.burst + (RATE.perSecond * (clock.now - first)) / 1000
      assert.ok(starts.length - i <= most + 1e-6, `${starts.length - i} began in ${clock.now - first} ms`)
    })
    const ids = now.map(({ id }) => id)
    assert.equal(new Set(ids).size, ids.length, `a job is worked on twice: ${ids.join(' ')}`)
  }

  async function extend(worker: Worker): Promise<void> {
    worker.returned = true
    for (const [id, { until }] of worker.held) if (until <= clock.now) worker.held.delete(id)
    const reply = await worker.room.extend([...worker.held.values()].map(({ claim }) => ({ claim })))
    const lost = new Set(reply.lost)
    for (const [id, held] of worker.held) {
      if (lost.has(id)) worker.held.delete(id)
      else held.until = clock.now + LEASE_MS
    }
  }

  async function claim(worker: Worker, count: number, leaves: boolean): Promise<void> {
    if (!worker.returned) await extend(worker) // as src/leases.ts does first of all
    const leaving = leaves ? [...worker.held.values()].filter(({ until }) => until > clock.now) : []
    for (const held of leaving) held.left = true
    const { claims } = await worker.room.claim(
      count,
      never,
      leaving.map(({ claim }) => claim),
    )
    for (const claim of claims) {
      if (claim.group === 'birds') starts.push(clock.now)
      worker.held.set(claim.job.id, { claim, until: clock.now + LEASE_MS, left: false })
    }
    if (claims.length > 0) checkLimits()
  }

  async function wait(ms: number): Promise<void> {
    if (clock.now + ms > lostAt + RETURN_MS) for (const worker of workers) if (!worker.returned) await extend(worker)
    await clock.advance(ms)
  }

  async function forget(steps: number): Promise<void> {
    const then = past[Math.max(0, past.length - 1 - steps)]
    assert.ok(then)
    await restore(then)
    await clock.changeServer()
    lostAt = clock.now
    for (const worker of workers) worker.returned = false
  }

  async function restore({ rows }: Dump): Promise<void> {
    await q.redis.eval(RESTORE, 1, q.base, JSON.stringify(rows))
  }

  async function act(step: ForgetfulStep): Promise<void> {
    switch (step.do) {
      case 'add':
        for (let i = 0; i < step.count; i++) {
          const { group, host } = step
          const job = {
            request: packRequest(request({ aggrId: group, url: `http://${host}/` })),
            group,
            terms: termsOf({ limit: LIMITS[group], rate: group === 'birds' ? RATE : undefined }),
          }
          await addByScript(q.redis, q.keys.room('downloads'), { id: `job-${jobs++}`, ...job })
        }
        return
      case 'claim':
        return claim(at(workers, step.worker), step.count, step.leaves)
      case 'extend':
        return extend(at(workers, step.worker))
      case 'settle': {
        for (let i = 0; i < step.count; i++) {
          const all = workers.flatMap((worker) => [...worker.held].map(([id, held]) => ({ worker, id, held })))
          const one = all[step.which % all.length]
          if (!one) return
          one.worker.held.delete(one.id)
          const { claim } = one.held
          const verdict = { host: hostOfClaim(claim), says: step.says }
          await one.worker.room.settle(claim, { place: { kind: step.kind }, patch: {}, verdict }, never)
        }
        return
      }
      case 'wait':
        return wait(step.ms)
      case 'crash':
        workers[step.worker] = start()
        return
      case 'forget':
        return forget(step.steps)
    }
  }

  return {
    async take(step: ForgetfulStep): Promise<void> {
      await act(step)
      past.push(await dumpOf(q.redis, q.base))
    },
    /** Everything that Redis knows of can be finished. */
    async drain(): Promise<void> {
      const worker = at(workers, 0)
      for (let rounds = 2 * jobs + 8; rounds > 0; rounds--) {
        await wait(LEASE_MS)
        await claim(worker, 100, false)
        for (const [id, { claim }] of worker.held) {
          worker.held.delete(id)
          await q.settle(worker.room, claim, { kind: 'gone' })
        }
      }
      const { requests, states } = await checkInvariants(q.redis, q.base)
      assert.equal(requests.size + states.size, 0, 'jobs are left over')
    },
    [Symbol.asyncDispose]: () => q[Symbol.asyncDispose](),
  }
}

const hostOfClaim = ({ job }: Claim) => hostOf(job.request?.url ?? '')

const RESTORE = `
for _, key in ipairs(redis.call('KEYS', KEYS[1] .. '*')) do redis.call('DEL', key) end
for _, row in ipairs(cjson.decode(ARGV[1])) do
  local key, kind, ttl, value = unpack(row)
  if kind == 'string' then redis.call('SET', key, value[1])
  elseif kind == 'hash' then redis.call('HSET', key, unpack(value))
  elseif kind == 'set' then redis.call('SADD', key, unpack(value))
  else
    for i = 1, #value, 2 do redis.call('ZADD', key, value[i + 1], value[i]) end
  end
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) end
end`

function at<T>(from: T[], which: number): T {
  const found = from[which]
  assert.ok(found !== undefined)
  return found
}
