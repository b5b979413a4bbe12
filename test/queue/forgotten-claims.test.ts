import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { LeaseLost } from '../../src/leases.ts'
import { openQueue, until } from '../support/queue.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startWorker, untilAborted } from '../support/worker.ts'

/** Puts Redis back to how it was: what a failover does, or a crash, when the last moments were kept nowhere else. */
async function rememberOnly(server: TestRedis) {
  const replica = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
  await replica.cli('REPLICAOF', '127.0.0.1', String(server.port))
  await until('the replica has all', async () => /master_link_status:up/.test(await replica.cli('INFO', 'replication')))
  await replica.cli('REPLICAOF', 'NO', 'ONE')
  return {
    async restore(): Promise<void> {
      await server.cli('REPLICAOF', '127.0.0.1', String(replica.port))
      await until('it has all', async () => /master_link_status:up/.test(await server.cli('INFO', 'replication')))
      await server.cli('REPLICAOF', 'NO', 'ONE')
      await server.cli('CLIENT', 'KILL', 'TYPE', 'normal')
    },
    [Symbol.asyncDispose]: () => replica[Symbol.asyncDispose](),
  }
}

describe('a claim that Redis has forgotten', () => {
  it('ends as soon as Redis is there again, however long its lease', async () => {
    await using server = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
    await using q = openQueue(server)
    await q.add({ aggrLimit: 1 })
    await using before = await rememberOnly(server)
    await using worker = startWorker(q, { concurrency: 1, run: untilAborted })
    await until('the job runs', () => worker.runs.length === 1)
    await before.restore()
    await until('it runs no more', () => worker.runs[0]?.signal.aborted === true, 2000)
    assert.ok(worker.runs[0]?.signal.reason instanceof LeaseLost)
  }).timeout(20_000)

  it('is over before the worker runs the job again itself: both would write one file', async () => {
    await using server = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
    await using q = openQueue(server)
    await q.add({ aggrLimit: 1 })
    await using before = await rememberOnly(server)
    let running = 0
    let most = 0
    await using worker = startWorker(q, {
      room: q.room({ leaseMs: 2000 }), // so long nothing is claimed once claims were lost
      async run(lease) {
        most = Math.max(most, ++running)
        try {
          if (worker.runs.length === 1) await untilAborted(lease)
          return { kind: 'deleted' }
        } finally {
          await delay(50) // to let go takes a moment
          running--
        }
      },
    })
    await until('the job runs', () => worker.runs.length === 1)
    await before.restore()
    await until('it is done', async () => (await q.redis.hget(q.keys.totals, 'gone')) === '1')
    assert.equal(worker.runs.length, 2)
    assert.equal(most, 1)
    await q.check()
  }).timeout(20_000)
})
