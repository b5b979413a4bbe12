import assert from 'node:assert/strict'
import type { Place } from '../../src/jobs/places.ts'
import type { Room } from '../../src/queue/room.ts'
import { openQueue, queueSuite, type TestQueue } from '../support/queue.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

describe('what a job costs', () => {
  const { server, test } = queueSuite()

  it('in memory is at most 700 bytes of Redis while it waits', async () => {
    const JOBS = 20_000
    await using server = await startRedis()
    await using q = openQueue(server)
    const add = (i: number) =>
      q.add({
        aggrId: `aggregation-${i % 200}`,
        aggrLimit: 8,
        url: `https://images.example.com/catalogue/2024/products/${String(i).padStart(8, '0')}.jpg`,
        callbackType: 'http',
        callbackDst: 'https://callback.example.com/downloads/notify',
        extra: `{"product_id":${i},"position":1}`,
        mimeType: '!image/vnd.adobe.photoshop,image/*',
        maxRetries: 3,
        extractImageSize: true,
        downloadTimeoutS: 60,
        requestHeaders: { Accept: 'image/png,image/jpeg,image/*,*/*', 'User-Agent': 'Downloader-Agent' },
      })
    await add(0) // scripts and connections are there before the first look
    const before = await usedMemory(server)
    for (let i = 1; i <= JOBS; i += 500) await Promise.all(Array.from({ length: 500 }, (_, k) => add(i + k)))
    const bytes = ((await usedMemory(server)) - before) / JOBS
    assert.ok(bytes <= 700, `${bytes} bytes a job`)
    assert.ok(bytes > 300, `${bytes} bytes a job: measured wrongly?`)
  }).timeout(30_000)

  test('in commands of Redis is the same for 100 jobs that wait and for 20,000', async (q) => {
    await addMany(q, 100)
    const few = await commandsOfOneJob(q, server())
    await addMany(q, 20_000)
    assertNotAbove(await commandsOfOneJob(q, server()), few)
  })

  test('in commands of Redis is the same for one group that waits and for thousands', async (q) => {
    const one = await commandsOfOneJob(q, server())
    await addMany(q, 5000, (i) => `group ${i}`)
    assertNotAbove(await commandsOfOneJob(q, server()), one)
  })

  test('in commands of Redis is the same while one job runs and while thousands do', async (q) => {
    const one = await commandsOfOneJob(q, server())
    await addMany(q, 5000, (i) => `group ${i % 10}`)
    // one call answers at most 1,000
    for (let i = 0; i < 5; i++) assert.equal((await q.claim(q.room(), 5000)).length, 1000)
    assertNotAbove(await commandsOfOneJob(q, server()), one)
  })

  test('in commands of Redis, to look at its group, is the same for one host that waits and for hundreds', async (q) => {
    const room = q.room({ hostLimit: 1 })
    const addTo = (host: string) => Promise.all([1, 2].map(() => q.add({ url: `http://${host}/`, aggrLimit: 50_000 })))
    const look = async (expected: number) => {
      await q.claim(room, 1000)
      const before = await commandsRun(server())
      const [, , row] = await q.redis.lookAtGroups(q.keys.room('downloads'), 'group')
      const commands = (await commandsRun(server())) - before
      assert.deepEqual([row?.[0], row?.[8]], [expected, expected], 'pending, and waiting for hosts')
      return commands
    }
    await addTo('origin.example')
    const one = await look(1)
    await Promise.all(Array.from({ length: 300 }, (_, i) => addTo(`${i}.example`)))
    await q.claim(room, 1000)
    assert.ok((await look(301)) <= one)
  })

  // A change that makes the queue do more work fails here, whatever the machine: say why before you raise a figure.
  for (const [jobs, commands, scripts] of [
    [1, 200, 7],
    [100, 80, 4.03],
  ] as const) {
    test(`from its acceptance to its end is at most ${commands} commands, with ${jobs} at a time`, async (q) => {
      await wholeLives(q, 1) // groups and rooms are known
      const [before, called] = [await commandsRun(server()), await scriptCalls(server())]
      await wholeLives(q, jobs)
      const [after, calledAfter] = [await commandsRun(server()), await scriptCalls(server())]
      const each = (after - before) / jobs
      assert.ok(each <= commands, `${each} commands a job`)
      const calls = (calledAfter - called) / jobs
      assert.ok(calls <= scripts, `${calls} calls of scripts a job`)
    })
  }

  test('in round trips is one claim for many jobs, and one extension for all of them', async (q) => {
    await Promise.all(Array.from({ length: 200 }, () => q.add()))
    const room = q.room()
    const before = await scriptCalls(server())
    const claims = await q.claim(room, 200)
    assert.equal(claims.length, 200)
    await q.extend(room, ...claims)
    assert.equal((await scriptCalls(server())) - before, 2)
  })
})

/** So many jobs walk through all rooms together. */
async function wholeLives(q: TestQueue, jobs: number): Promise<void> {
  const groupLimit = 1000
  const downloads = q.room()
  const callbacks = q.room({ name: 'callbacks:http', groupLimit })
  const deletions = q.room({ name: 'deletions:files', groupLimit })
  const settleAll = async (room: Room, place: Place) => {
    const claims = await q.claim(room, jobs)
    assert.equal(claims.length, jobs)
    await Promise.all(claims.map((claim) => q.settle(room, claim, place)))
  }
  await Promise.all(Array.from({ length: jobs }, (_, i) => q.add({ aggrId: `group ${i % 5}` })))
  await settleAll(downloads, { kind: 'room', room: 'callbacks:http', group: 'http://receiver.example:80' })
  await settleAll(callbacks, { kind: 'room', room: 'deletions:files', group: 'files', shrink: true })
  await settleAll(deletions, { kind: 'gone' })
}

async function usedMemory(server: TestRedis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await server.cli('INFO', 'memory'))?.[1])
}

/** How many commands Redis has run, those within scripts included. */
async function commandsRun(server: TestRedis): Promise<number> {
  const stats = await server.cli('INFO', 'commandstats')
  let sum = 0
  for (const [, name = '', calls] of stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)) {
    if (!/^(info|client|hello|eval|evalsha|subscribe)/.test(name)) sum += Number(calls)
  }
  return sum
}

async function scriptCalls(server: TestRedis): Promise<number> {
  const stats = await server.cli('INFO', 'commandstats')
  return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, [, calls]) => sum + Number(calls), 0)
}

async function addMany(q: TestQueue, count: number, groupOf: (i: number) => string = () => 'group'): Promise<void> {
  for (let i = 0; i < count; i += 500) {
    const some = Array.from({ length: Math.min(500, count - i) }, (_, k) => i + k)
    await Promise.all(some.map((n) => q.add({ aggrId: groupOf(n), aggrLimit: 50_000 })))
  }
}

/** How many commands it takes to add a job, to claim one and to settle it. */
async function commandsOfOneJob(q: TestQueue, server: TestRedis) {
  const room = q.room()
  const start = await commandsRun(server)
  await q.add({ aggrLimit: 50_000 })
  const added = await commandsRun(server)
  const [claim] = await q.claim(room)
  assert.ok(claim)
  const claimed = await commandsRun(server)
  await q.settle(room, claim, { kind: 'room', room: 'callbacks:http', group: claim.group }, { attempts: 1 })
  const settled = await commandsRun(server)
  return { add: added - start, claim: claimed - added, settle: settled - claimed }
}

type Commands = Awaited<ReturnType<typeof commandsOfOneJob>>

/** A group that is new, or a bell that rings, makes a difference of a few. */
function assertNotAbove(more: Commands, less: Commands): void {
  for (const step of ['add', 'claim', 'settle'] as const) {
    assert.ok(more[step] <= less[step] + 4, `${step}: ${more[step]} commands instead of ${less[step]}`)
    assert.ok(less[step] <= 40, `${step}: ${less[step]} commands`)
  }
}
