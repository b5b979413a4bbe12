import assert from 'node:assert/strict'
import { stateOf } from '../../src/jobs/state.ts'
import { reasonsOf } from '../../src/jobs/why.ts'
import { jobsOf } from '../../src/queue/jobs.ts'
import { listingOf } from '../../src/queue/listing.ts'
import { queueOf } from '../../src/queue/queue.ts'
import type { Client } from '../../src/queue/redis.ts'
import { openQueue, queueSuite, type TestQueue } from '../support/queue.ts'
import { RESULT as result } from '../support/samples.ts'

/** More than any reader sends. */
const COMMANDS = 8
const receiver = 'http://receiver.example:80'
const horizons = { silentMs: 10_000, downloadRetries: 2, deliveryRetries: 5 }

/** A connection on which the command with this number, from 0, waits until `step` was taken on another one. */
function interrupted(redis: Client, at: number, step: () => Promise<unknown>): Client {
  let commands = 0
  return new Proxy(redis, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (typeof value !== 'function') return value
      return async (...args: unknown[]) => {
        if (commands++ === at) await step()
        return Reflect.apply(value, target, args) as unknown
      }
    },
  })
}

describe('a job that moves while it is read', () => {
  const { server } = queueSuite()

  /** A test for each command before which the job may move: `read` sees it before or after, but no mixture. */
  function test(
    name: string,
    begin: (q: TestQueue) => Promise<{ id: string; move: () => Promise<unknown> }>,
    read: (redis: Client, q: TestQueue, id: string) => Promise<void>,
  ) {
    it(name, async () => {
      let moved = 0
      for (let at = 0; at < COMMANDS; at++) {
        await using q = openQueue(server())
        const { id, move } = await begin(q)
        const step = async () => {
          moved++
          await move()
        }
        await read(interrupted(q.redis, at, step), q, id)
        await q.check()
      }
      assert.ok(moved > 0 && moved < COMMANDS, `it moved ${moved} times`)
    })
  }

  const jobsOn = (redis: Client, { keys }: TestQueue) => jobsOf(redis, keys, queueOf(redis, keys))

  /** Runs, and ends well; there is nobody to be called back. */
  async function storedAtRest(q: TestQueue) {
    const id = await q.add({ callbackType: undefined, callbackDst: undefined })
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    const patch = { attempts: 1, result, storage: 'files' }
    return { id, move: () => q.settle(room, claim, { kind: 'rest', reason: 'done' }, patch) }
  }

  /** Runs, ends well, and is to be called back. */
  async function stored(q: TestQueue) {
    const id = await q.add()
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    const place = { kind: 'room', room: 'callbacks:http', group: receiver } as const
    return { id, move: () => q.settle(room, claim, place, { attempts: 1, result, storage: 'files' }) }
  }

  /** Is being called back, and that succeeds: the record shrinks. */
  async function delivered(q: TestQueue) {
    const { id, move } = await stored(q)
    await move()
    const room = q.room({ name: 'callbacks:http', groupLimit: 1 })
    const [claim] = await q.claim(room)
    assert.ok(claim)
    const place = { kind: 'room', room: 'deletions:files', group: 'files', delayMs: 60_000, shrink: true } as const
    return { id, move: () => q.settle(room, claim, place, { deliveries: 1, deliveryError: '' }) }
  }

  /** Rests as failed, and is tried again. */
  async function triedAgain(q: TestQueue) {
    const id = await q.add({ callbackType: undefined, callbackDst: undefined })
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    const failed = { ...result, success: false, error: 'no', errorCode: 'http.404', path: undefined }
    const atRest = { kind: 'rest', reason: 'failed' } as const
    await q.settle(room, claim, atRest, { attempts: 1, result: failed, storage: 'files', tags: ['of:group'] })
    return { id, move: () => q.queue.wake(id, 'failed', { kind: 'downloaded-again', delayMs: 0 }) }
  }

  /** Pending, and then so again after an attempt that failed. */
  async function retried(q: TestQueue) {
    const id = await q.add()
    const room = q.room()
    const move = async () => {
      const [claim] = await q.claim(room)
      assert.ok(claim)
      await q.settle(room, claim, { kind: 'again', delayMs: 60_000 }, { attempts: 1 })
    }
    await q.claim(room, 0) // a worker is alive
    return { id, move }
  }

  test('is never shown as done without its result', storedAtRest, async (redis, q, id) => {
    const sighting = await jobsOn(redis, q).look(id)
    assert.ok(sighting)
    const { job, where } = sighting
    assert.ok(['running', 'done'].includes(stateOf(job, where)))
    assert.equal(job.result !== undefined, stateOf(job, where) === 'done')
  })

  test('is never shown as delivered without its callback, nor as expired', delivered, async (redis, q, id) => {
    const sighting = await jobsOn(redis, q).look(id)
    assert.ok(sighting)
    const { job, where } = sighting
    const state = stateOf(job, where)
    assert.ok(['callback_running', 'delivered'].includes(state), state)
    assert.equal(job.deliveries, state === 'delivered' ? 1 : 0)
    assert.equal(job.request === undefined, state === 'delivered')
  })

  test('keeps its result and loses its file when it is cancelled', stored, async (redis, q, id) => {
    const cancellation = await jobsOn(redis, q).cancel(id)
    const now = await q.queue.find(id)
    assert.equal(now?.cancelled, true)
    if (cancellation === 'cancelling') return
    assert.deepEqual(now.result, result)
    const [deletion] = await q.claim(q.room({ name: 'deletions:files', groupLimit: 1 }))
    assert.equal(deletion?.job.id, id)
  })

  test('is never listed in one state with the record of another', triedAgain, async (redis, q) => {
    const { listed } = await listingOf(redis, q.keys).atRest({ reason: 'failed', tags: [] }, 9)
    for (const { job } of listed) assert.equal(job.result?.errorCode, 'http.404')
  })

  test('is never listed as running when it has its result', storedAtRest, async (redis, q) => {
    const { listed } = await listingOf(redis, q.keys).running('downloads', undefined, 9)
    for (const { job, where } of listed) {
      assert.equal(job.result, undefined)
      assert.ok(where.kind === 'claimed' && where.leaseEndsMs > 0)
    }
  })

  test('is listed as pending with the attempts that it had then', retried, async (redis, q) => {
    const { listed } = await listingOf(redis, q.keys).pending('downloads', undefined, 9)
    for (const { job, where } of listed) {
      assert.equal(where.kind === 'pending' && where.startsMs > Date.now() + 10_000, job.attempts === 1)
    }
  })

  test('is never said to wait for anything but its retry after an attempt', retried, async (redis, q, id) => {
    const jobs = jobsOn(redis, q)
    const sighting = await jobs.look(id)
    assert.ok(sighting)
    const waiting = await jobs.why(sighting, horizons)
    if (!waiting) return // the caller looks again
    const [{ code }] = reasonsOf(waiting)
    assert.equal(code, sighting.job.attempts === 0 ? 'worker_busy' : 'retry_later')
  })
})
