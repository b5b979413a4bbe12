import assert from 'node:assert/strict'
import { HandBack, LeaseLost } from '../src/leases.ts'
import type { Room } from '../src/queue/room.ts'
import { openQueue, queueSuite, type TestQueue, until } from './support/queue.ts'
import { startRelay } from './support/tcp-relay.ts'
import { gate, startWorker, untilAborted } from './support/worker.ts'

/** Longer than this nobody waits who was woken; who missed the bell sleeps up to 5 s. */
const AT_ONCE_MS = 2000

const addMany = (q: TestQueue, count: number, aggrId = 'group') =>
  Promise.all(Array.from({ length: count }, () => q.add({ aggrId })))

async function noJobsLeft(q: TestQueue, withinMs?: number): Promise<void> {
  const accepted = async () => Number(await q.redis.hget(q.keys.totals, 'accepted'))
  const gone = async () => Number(await q.redis.hget(q.keys.totals, 'gone'))
  await until('all jobs are gone', async () => (await accepted()) === (await gone()), withinMs)
}

/** Resolves when the worker has asked for jobs, found none and listens for new ones. */
async function idle(q: TestQueue): Promise<void> {
  const channel = `${q.keys.room('downloads')}:bell`
  await until('the worker listens', async () => (await q.redis.pubsub('NUMSUB', channel))[1] === 1)
  await new Promise((resolve) => setTimeout(resolve, 50)) // the claim that was under way
}

describe('the worker loop', () => {
  const { server, test } = queueSuite()

  test('runs every job and settles it as its outcome says', async (q) => {
    const ids = await addMany(q, 30)
    await using worker = startWorker(q)
    await noJobsLeft(q)
    await worker.stop()
    assert.deepEqual(worker.runs.map(({ claim }) => claim.job.id).sort(), ids.sort())
  })

  test('runs as many jobs at once as it may, and never more', async (q) => {
    await addMany(q, 60)
    let running = 0
    let most = 0
    await using worker = startWorker(q, {
      concurrency: 5,
      async run() {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve, 5))
        running--
        return { kind: 'deleted' }
      },
    })
    await noJobsLeft(q)
    await worker.stop()
    assert.equal(most, 5)
  })

  test('is woken by a job that comes', async (q) => {
    await using worker = startWorker(q)
    await idle(q)
    for (let i = 1; i <= 5; i++) {
      await q.add()
      await until('the job runs', () => worker.runs.length === i, AT_ONCE_MS)
      await until('the worker sleeps', async () => !(await q.redis.exists(`${q.keys.room('downloads')}:leases`)))
    }
  })

  test('finds a job that came while it began to listen', async (q) => {
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    await until('it is connected', () => far.subscriber.status === 'ready' && far.redis.status === 'ready')
    relay.hold('requests') // its SUBSCRIBE is not heard yet
    const room = q.room()
    const asked = gate()
    const claim: Room['claim'] = (...args) => room.claim(...args).finally(asked.open)
    await using worker = startWorker(q, { room: { ...room, claim, onBell: far.room().onBell } })
    await asked.opened
    await q.add()
    relay.release()
    await until('the job runs', () => worker.runs.length === 1, AT_ONCE_MS)
    await worker.stop()
  })

  test('goes on at once with a subscription that was lost', async (q) => {
    await using worker = startWorker(q)
    await idle(q)
    await server().cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await q.add()
    await until('the job runs', () => worker.runs.length === 1, AT_ONCE_MS)
    await idle(q)
    await q.add()
    await until('the next job runs', () => worker.runs.length === 2, AT_ONCE_MS)
    await worker.stop()
  })

  test('finds a job within seconds whose bell nobody heard', async (q) => {
    await using worker = startWorker(q)
    await idle(q)
    q.subscriber.disconnect()
    await q.add()
    await until('the job runs', () => worker.runs.length === 1, 6000)
    await worker.stop()
  })

  test('runs a job when it is due, not before, and without a bell', async (q) => {
    await q.add()
    const other = q.room()
    const [claim] = await q.claim(other)
    assert.ok(claim)
    await using worker = startWorker(q)
    await idle(q)
    const begin = performance.now()
    await q.settle(other, claim, { kind: 'again', delayMs: 700 })
    await new Promise((resolve) => setTimeout(resolve, 300)) // it has heard of that, and asked when it is due
    q.subscriber.disconnect()
    await until('the job runs', () => worker.runs.length === 1)
    const waited = performance.now() - begin
    assert.ok(waited >= 699 && waited < 700 + AT_ONCE_MS, `after ${waited} ms`)
    await worker.stop()
  })

  test('wakes for a job that is due before the one that it slept for', async (q) => {
    await q.add({ aggrId: 'later' })
    await q.add({ aggrId: 'sooner' })
    const other = q.room()
    const [later, sooner] = await q.claim(other, 2)
    assert.ok(later && sooner)
    await q.settle(other, later, { kind: 'again', delayMs: 60_000 })
    await using worker = startWorker(q)
    await idle(q)
    await q.settle(other, sooner, { kind: 'again', delayMs: 300 })
    await until('the job runs', () => worker.runs.length === 1, AT_ONCE_MS)
    assert.equal(worker.runs[0]?.claim.job.id, sooner.job.id)
    await worker.stop()
  })

  test('starts nothing while it must not, and goes on when it may', async (q) => {
    let may = false
    await addMany(q, 3)
    await using worker = startWorker(q, { mayClaim: () => may })
    await idle(q)
    await q.add()
    assert.equal(worker.runs.length, 0)
    may = true
    await noJobsLeft(q)
    await worker.stop()
  })

  test('serves its rooms in turn, however much waits in one of them', async (q) => {
    await addMany(q, 40)
    const downloads = q.room()
    const half = (id: string) => id.slice(3) < 'Z' // their first characters may be the same
    for (const claim of await q.claim(downloads, 40)) {
      const name = half(claim.job.id) ? 'callbacks:http' : 'callbacks:kafka'
      await q.settle(downloads, claim, { kind: 'room', room: name, group: 'receiver' })
    }
    const rooms = ['callbacks:http', 'callbacks:kafka'].map((name) => q.room({ name, groupLimit: 10 }))
    const served: string[] = []
    await using worker = startWorker(q, {
      rooms,
      concurrency: 1,
      async run({ claim }) {
        served.push(half(claim.job.id) ? 'http' : 'kafka')
        return { kind: 'deleted' }
      },
    })
    await noJobsLeft(q)
    await worker.stop()
    assert.deepEqual(new Set(served.slice(0, 3)), new Set(['http', 'kafka']))
    assert.deepEqual(new Set(served.slice(3, 6)), new Set(['http', 'kafka']))
  })

  test('goes on after a bug in what runs; the job comes back when its lease has run out, as a stall', async (q) => {
    const [bad] = await addMany(q, 5)
    await using worker = startWorker(q, {
      room: q.room({ leaseMs: 300 }),
      async run({ claim: { job } }) {
        if (job.id === bad && job.stalls < 2) throw new TypeError('x is not a function')
        return { kind: 'deleted' }
      },
    })
    await noJobsLeft(q)
    await worker.stop()
    const stalls = worker.runs.filter(({ claim }) => claim.job.id === bad).map(({ claim }) => claim.job.stalls)
    assert.deepEqual(stalls, [0, 1, 2])
    assert.equal(worker.runs.length, 7)
    assert.equal(q.logged.filter(({ level, job_id }) => level === 50 && job_id === bad).length, 2)
  })

  test('keeps the lease of a job that takes long', async (q) => {
    await q.add()
    await using slow = startWorker(q, {
      room: q.room({ leaseMs: 1000 }),
      async run() {
        await new Promise((resolve) => setTimeout(resolve, 2000))
        return { kind: 'deleted' }
      },
    })
    await until('the job runs', () => slow.runs.length === 1)
    await using other = startWorker(q)
    await noJobsLeft(q)
    await Promise.all([slow.stop(), other.stop()])
    assert.deepEqual([slow.runs.length, other.runs.length], [1, 0])
    assert.equal(slow.runs[0]?.signal.aborted, false)
  })

  test('settles hundreds of jobs at once without a word in the log or a warning of the process', async (q) => {
    await addMany(q, 3000)
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    await using worker = startWorker(q, {
      concurrency: 300,
      async run() {
        await new Promise((resolve) => setTimeout(resolve, 60))
        return { kind: 'deleted' }
      },
    })
    await noJobsLeft(q, 15_000)
    await worker.stop()
    process.off('warning', onWarning)
    assert.deepEqual(warnings, [])
    assert.deepEqual(q.logged, [])
    assert.equal(worker.runs.length, 3000)
  })
})

describe('a worker that is told to stop', () => {
  const { server, test } = queueSuite()

  test('starts nothing more, finishes what runs, and ends', async (q) => {
    await addMany(q, 6)
    const { open, opened } = gate()
    await using worker = startWorker(q, {
      concurrency: 2,
      async run() {
        await opened
        return { kind: 'deleted' }
      },
    })
    await until('two jobs run', () => worker.runs.length === 2)
    const stopped = worker.stop()
    open()
    await stopped
    assert.equal(worker.runs.length, 2)
    const { totals, rooms } = await q.check()
    assert.equal(totals.get('gone'), 2)
    assert.equal(rooms.get('downloads')?.pending.get('group')?.size, 4)
    assert.equal(rooms.get('downloads')?.claims.size, 0)
  })

  test('ends at once when nothing runs', async (q) => {
    await using worker = startWorker(q)
    await idle(q)
    const begin = performance.now()
    await worker.stop()
    assert.ok(performance.now() - begin < AT_ONCE_MS)
  })

  test('hands back what is not done after the grace: at its old place, no attempt and no stall counted', async (q) => {
    const ids: string[] = []
    for (let i = 0; i < 3; i++) {
      ids.push(await q.add())
      await q.travel(10)
    }
    await using worker = startWorker(q, { concurrency: 2, graceMs: 100, run: untilAborted })
    await until('two jobs run', () => worker.runs.length === 2)
    await worker.stop()
    for (const { signal } of worker.runs) assert.ok(signal.reason instanceof HandBack)
    const claims = await q.claim(q.room(), 3)
    assert.deepEqual(
      claims.map(({ job }) => [job.id, job.attempts, job.stalls]),
      ids.map((id) => [id, 0, 0]),
    )
  })

  test('hands back what Redis gave it while it was stopping', async (q) => {
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    await far.add()
    await until('it is connected', () => far.subscriber.status === 'ready')
    relay.hold('replies')
    await using worker = startWorker(far)
    await using near = openQueue(server())
    await until(
      'the job is claimed',
      async () => (await near.redis.exists(`${far.keys.room('downloads')}:leases`)) === 1,
    )
    const stopped = worker.stop()
    relay.release()
    await stopped
    assert.equal(worker.runs.length, 0)
    const [claim] = await far.claim(far.room())
    assert.deepEqual([claim?.job.attempts, claim?.job.stalls], [0, 0])
    await far.check()
    await q.check()
  })

  test('does not wait for a job that does not listen', async (q) => {
    await q.add()
    await using worker = startWorker(q, { graceMs: 50, run: () => new Promise(() => {}) })
    await until('the job runs', () => worker.runs.length === 1)
    const begin = performance.now()
    await worker.stop()
    assert.ok(performance.now() - begin < 10_000)
  })

  test('ends also when Redis is away', async (q) => {
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    await far.add()
    const { open, opened } = gate()
    await using worker = startWorker(far, {
      graceMs: 50,
      async run() {
        await opened
        return { kind: 'deleted' }
      },
    })
    await until('the job runs', () => worker.runs.length === 1)
    relay.hold('both')
    open()
    const begin = performance.now()
    await worker.stop()
    assert.ok(performance.now() - begin < 10_000)
    await q.check()
  })
})

describe('a worker that cannot keep its lease', () => {
  const { server, test } = queueSuite()

  test('stops before the lease ends when Redis is frozen; another worker gets the job', async (q) => {
    await q.add()
    const leaseMs = 900
    const lost = gate()
    const late = gate()
    let abortedAt = 0
    await using first = startWorker(q, {
      room: q.room({ leaseMs }),
      async run(lease) {
        await untilAborted(lease).catch(() => {
          abortedAt = performance.now()
          lost.open()
        })
        assert.throws(() => lease.confirm(), LeaseLost)
        await late.opened // it does not listen, and settles all the same
        return { kind: 'downloaded', storage: 'files', result: resultOf('first') }
      },
    })
    await until('the job runs', () => first.runs.length === 1)
    server().pause()
    const pausedAt = performance.now()
    await lost.opened
    assert.ok(abortedAt - pausedAt < leaseMs, `told to stop after ${abortedAt - pausedAt} ms`)
    const stopping = first.stop() // or it would take the job itself
    await new Promise((resolve) => setTimeout(resolve, leaseMs))
    server().resume()

    const done = gate()
    await using second = startWorker(q, {
      room: q.room(),
      async run() {
        late.open()
        await stopping
        done.open()
        return { kind: 'downloaded', storage: 'files', result: resultOf('second') }
      },
    })
    await done.opened
    await second.stop()
    const id = second.runs[0]?.claim.job.id ?? ''
    assert.equal(second.runs[0]?.claim.job.stalls, 1)
    const job = await q.queue.find(id)
    assert.deepEqual([job?.result?.error, job?.attempts], ['second', 1])
  })

  test('begins at once what it got by a call that was sent again', async (q) => {
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    await far.add()
    relay.hold('requests') // the first is never heard
    await using worker = startWorker(far, { room: far.room({ leaseMs: 600 }) })
    await new Promise((resolve) => setTimeout(resolve, 800))
    relay.cut()
    await until('the job runs', () => worker.runs.length === 1)
    assert.equal(worker.runs[0]?.claim.job.stalls, 0)
    await noJobsLeft(far)
    await worker.stop()
    await q.check()
  })

  test('counts the lease from the call that was heard, also when only the next one was answered', async (q) => {
    const leaseMs = 2000
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    await using near = openQueue(server())
    await far.add()
    relay.hold('replies')
    await using worker = startWorker(far, { room: far.room({ leaseMs }), run: untilAborted })
    const leases = `${far.keys.room('downloads')}:leases`
    await until('the job is claimed', async () => (await near.redis.exists(leases)) === 1)
    const claimedAt = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 700))
    relay.cut()
    await until('the job runs', () => worker.runs.length === 1)
    relay.hold('requests')
    const [lease] = worker.runs
    await until('the lease is lost', () => lease?.signal.aborted === true)
    const ms = performance.now() - claimedAt
    assert.ok(ms < leaseMs, `told to stop ${ms} ms after the claim`)
    relay.release()
    await worker.stop()
    await far.redis.flushall()
    await q.check()
  })

  test('does not begin a job whose claim it hears of too late', async (q) => {
    await using relay = await startRelay(server().port)
    await using far = openQueue({ addr: relay.addr })
    await far.add()
    await until('it is connected', () => far.redis.status === 'ready')
    relay.hold('replies')
    await using worker = startWorker(far, { room: far.room({ leaseMs: 400 }) })
    await using near = openQueue(server())
    const leases = `${far.keys.room('downloads')}:leases`
    await until('the job is claimed', async () => (await near.redis.exists(leases)) === 1)
    await new Promise((resolve) => setTimeout(resolve, 400))
    relay.release()
    await until('the job runs', () => worker.runs.length === 1)
    await noJobsLeft(far)
    await worker.stop()
    assert.equal(worker.runs[0]?.claim.job.stalls, 1, 'it was claimed anew')
    await q.check()
  })
})

const resultOf = (error: string) => ({
  success: false,
  error,
  errorCode: 'internal',
  responseCode: 0,
  imageSize: '',
  size: 0,
  sha256: '',
  mimeType: '',
})
