import assert from 'node:assert/strict'
import type { DownloadResult } from '../../src/jobs/job.ts'
import type { Outcome } from '../../src/jobs/places.ts'
import { connect, promptly, RedisUnavailable } from '../../src/queue/redis.ts'
import { addByScript, openQueue, request, type TestQueue, until } from '../support/queue.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { gate, startWorker, type TestWorker } from '../support/worker.ts'

const result: DownloadResult = {
  success: true,
  error: '',
  errorCode: '',
  responseCode: 200,
  imageSize: '',
  size: 3,
  sha256: 'abc',
  mimeType: 'text/plain',
}
const downloaded: Outcome = { kind: 'downloaded', result, storage: 'files' }

/** Nobody is called back: a job rests when it is downloaded. */
const addMany = (q: TestQueue, count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, i) => {
      const { callbackType: _type, callbackDst: _dst, ...fields } = request({ aggrId: `group ${i % 5}` })
      return q.queue.add(fields)
    }),
  )

const atRest = async (q: TestQueue) => q.redis.zcard(q.keys.rest('done'))

async function jobsRun(worker: TestWorker, count: number): Promise<void> {
  await until(`${count} jobs run`, () => worker.runs.length >= count, 10_000)
}

describe('a worker goes on by itself', () => {
  const shortJobs = async () => {
    await new Promise((resolve) => setTimeout(resolve, 10))
    return downloaded
  }

  it('when Redis is killed again and again, and does and settles every job once', async () => {
    await using server = await startRedis({ appendonly: 'always' })
    await using q = openQueue(server)
    const ids = await addMany(q, 300)
    await using worker = startWorker(q, { concurrency: 8, run: shortJobs })
    for (const count of [30, 100, 200]) {
      await jobsRun(worker, count)
      await server.kill()
      await server.start()
    }
    await until('all jobs rest', async () => (await atRest(q)) === 300, 15_000)
    await worker.stop()
    const { states } = await q.check()
    for (const id of ids) assert.equal(states.get(id)?.get('attempts'), '1')
    assert.deepEqual(worker.runs.map(({ claim }) => claim.job.id).sort(), ids.sort())
  }).timeout(40_000)

  it('when Redis comes back empty while jobs run', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    await addMany(q, 4)
    const { open, opened } = gate()
    await using worker = startWorker(q, {
      room: q.room({ leaseMs: 1000 }), // so long nothing is claimed once claims were lost
      async run() {
        await opened
        return downloaded
      },
    })
    await jobsRun(worker, 4)
    await server.kill()
    await server.start()
    open()
    await addMany(q, 4)
    await until('the new jobs rest', async () => (await atRest(q)) === 4)
    await worker.stop()
    await q.check()
  })

  it('when everything is deleted while jobs run', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    await addMany(q, 20)
    const { open, opened } = gate()
    await using worker = startWorker(q, {
      room: q.room({ leaseMs: 1000 }), // so long nothing is claimed once claims were lost
      async run() {
        await opened
        return downloaded
      },
    })
    await jobsRun(worker, 4)
    await server.cli('FLUSHALL')
    open()
    await addMany(q, 4)
    await until('the new jobs rest', async () => (await atRest(q)) === 4)
    await worker.stop()
    await q.check()
  })

  it('when Redis forgets the scripts, and nobody who adds a job notices', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    const { log } = q
    const impatient = connect(q.config, 'impatient', log)
    await using worker = startWorker(q, { concurrency: 8, run: shortJobs })
    for (let round = 1; round <= 4; round++) {
      await addMany(q, 50)
      await jobsRun(worker, 50 * round - 25)
      await server.cli('SCRIPT', 'FLUSH')
      const room = q.keys.room('downloads')
      const id = `AAAAAAAAAAAAA${round}`
      const add = () => addByScript(impatient, room, { id, request: '{}', delayMs: 3_600_000 })
      assert.equal(await promptly(impatient, add), 'added')
    }
    await until('all jobs rest', async () => (await atRest(q)) === 200)
    await worker.stop()
    impatient.disconnect()
    assert.deepEqual(q.logged, [])
    await q.check()
  })

  it('when Redis was away for seconds while nothing was to be done, without wearing itself out', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    await using worker = startWorker(q)
    await until('it is connected', () => q.subscriber.status === 'ready')
    await server.kill()
    const cpu = process.cpuUsage()
    await new Promise((resolve) => setTimeout(resolve, 3000))
    const { user, system } = process.cpuUsage(cpu)
    assert.ok(user + system < 1_000_000, `${user + system} µs of CPU in 3 s`)
    await server.start()
    await q.add()
    await until('the job runs', () => worker.runs.length === 1, 2500)
    await worker.stop()
    await q.check()
  })

  it('when Redis was away for longer than a lease: what it gets then is done at once, and has not stalled', async () => {
    await using server = await startRedis({ appendonly: 'always' })
    await using q = openQueue(server)
    await addMany(q, 3)
    await server.kill()
    await using worker = startWorker(q, { room: q.room({ leaseMs: 600 }), run: shortJobs })
    await new Promise((resolve) => setTimeout(resolve, 1200))
    await server.start()
    await until('all jobs rest', async () => (await atRest(q)) === 3)
    await worker.stop()
    assert.deepEqual(
      worker.runs.map(({ claim }) => claim.job.stalls),
      [0, 0, 0],
    )
    await q.check()
  })

  it('when it was started before Redis', async () => {
    await using server = await startRedis()
    await server.kill()
    await using q = openQueue(server)
    await using worker = startWorker(q)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await server.start()
    await q.add()
    await until('the job runs', () => worker.runs.length === 1)
    await worker.stop()
    await q.check()
  })

  it('when Redis had no memory left', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    await addMany(q, 8)
    await using worker = startWorker(q, { concurrency: 1, run: shortJobs })
    await jobsRun(worker, 1)
    await server.cli('CONFIG', 'SET', 'maxmemory', '1')
    await refusesJobs(server, q)
    await server.cli('CONFIG', 'SET', 'maxmemory', '0')
    await until('all jobs rest', async () => (await atRest(q)) === 8)
    await worker.stop()
    assert.equal(worker.runs.length, 8)
    await q.check()
  })

  it('when Redis was a replica for a while', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    await addMany(q, 8)
    await using worker = startWorker(q, { concurrency: 1, run: shortJobs })
    await jobsRun(worker, 1)
    await server.cli('REPLICAOF', '127.0.0.1', '1')
    await refusesJobs(server, q)
    await server.cli('REPLICAOF', 'NO', 'ONE')
    await until('all jobs rest', async () => (await atRest(q)) === 8)
    await worker.stop()
    assert.equal(worker.runs.length, 8)
    await q.check()
  })

  it('when a connection of many is lost in the middle of everything', async () => {
    await using server = await startRedis()
    await using q = openQueue(server)
    await addMany(q, 400)
    await using worker = startWorker(q, { concurrency: 16, run: shortJobs })
    for (let round = 1; round <= 6; round++) {
      await jobsRun(worker, 50 * round)
      await server.cli('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    }
    await until('all jobs rest', async () => (await atRest(q)) === 400)
    await worker.stop()
    assert.equal(worker.runs.length, 400)
    for (const state of (await q.check()).states.values()) assert.equal(state.get('attempts'), '1')
  })
})

/** Whoever adds a job now hears that Redis cannot take it, and the job is not there later. */
async function refusesJobs(server: TestRedis, q: TestQueue): Promise<void> {
  const impatient = connect(q.config, 'impatient', q.log)
  const add = () => addByScript(impatient, q.keys.room('downloads'), { id: 'AAAAAAAAAAAAAA', request: '{}' })
  await assert.rejects(
    promptly(impatient, () => add()),
    RedisUnavailable,
  )
  impatient.disconnect()
  assert.equal(await server.cli('EXISTS', q.keys.request('AAAAAAAAAAAAAA')), '0')
}
