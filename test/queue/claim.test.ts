import assert from 'node:assert/strict'
import { checkQueue } from '../../src/queue/check/check.ts'
import type { ClaimReply } from '../../src/queue/scripts.ts'
import { never, queueSuite, type TestQueue } from '../support/queue.ts'

const ids = (claims: { job: { id: string } }[]) => claims.map(({ job }) => job.id)
const groups = (claims: { group: string }[]) => claims.map(({ group }) => group)

describe('claiming', () => {
  const { test } = queueSuite()

  /** Adds `count` jobs, one after the other. */
  async function addMany(q: TestQueue, count: number, aggrId: string, aggrLimit = 1000): Promise<string[]> {
    const added: string[] = []
    for (let i = 0; i < count; i++) added.push(await q.add({ aggrId, aggrLimit }))
    return added
  }

  /** One call of claim.lua, as `worker` sends it. */
  function call(q: TestQueue, worker: string, number: number, count: number, leaseMs = 30_000): Promise<ClaimReply> {
    return q.redis.claimJobs(q.keys.room('downloads'), worker, number, count, leaseMs, 0, 0, 0)
  }

  test('hands over the job as it was accepted, with its token and what its group brought', async (q) => {
    const id = await q.add({ aggrId: 'cats', aggrLimit: 2, aggrProxy: 'http://proxy.example/', extra: '{"a":1}' })
    const [claim] = await q.claim(q.room())
    assert.equal(claim?.job.id, id)
    assert.equal(claim?.job.request?.extra, '{"a":1}')
    assert.equal(claim?.group, 'cats')
    assert.equal(claim?.gift, 'http://proxy.example/')
    assert.equal(claim?.job.stalls, 0)
    assert.match(claim?.token ?? '', /^\S+:\S+$/)
  })

  test('hands over the jobs of a group in the order in which they may start', async (q) => {
    const added: string[] = []
    for (let i = 0; i < 5; i++) {
      added.push(await q.add())
      await q.travel(10)
    }
    assert.deepEqual(ids(await q.claim(q.room(), 10)), added)
  })

  test('gives many jobs in one call', async (q) => {
    await Promise.all(Array.from({ length: 300 }, () => q.add()))
    const room = q.room()
    assert.equal((await q.claim(room, 256)).length, 256)
    assert.equal((await q.claim(room, 256)).length, 44)
    assert.equal((await q.claim(room, 256)).length, 0)
  })

  test('serves the groups in turn', async (q) => {
    for (const aggrId of ['cats', 'dogs', 'birds']) await addMany(q, 3, aggrId)
    const room = q.room()
    const inTurn = ['cats', 'dogs', 'birds']
    assert.deepEqual(groups(await q.claim(room, 4)), [...inTurn, 'cats'])
    assert.deepEqual(groups(await q.claim(room, 5)), ['dogs', 'birds', ...inTurn])
  })

  test('lets ten thousand jobs of one group not delay the one job of another', async (q) => {
    await Promise.all(Array.from({ length: 10_000 }, () => q.add({ aggrId: 'many', aggrLimit: 10_000 })))
    const room = q.room()
    await q.claim(room, 100)
    const one = await q.add({ aggrId: 'one' })
    assert.ok(ids(await q.claim(room, 2)).includes(one))
  })

  test('holds the limit of a group over all workers', async (q) => {
    await addMany(q, 20, 'cats', 3)
    await addMany(q, 20, 'dogs', 5)
    const workers = Array.from({ length: 8 }, () => q.room())
    const claims = (await Promise.all(workers.map((room) => q.claim(room, 4)))).flat()
    assert.equal(claims.filter(({ group }) => group === 'cats').length, 3)
    assert.equal(claims.filter(({ group }) => group === 'dogs').length, 5)
  })

  test('never goes over a limit, and loses nothing, while many workers claim and settle at once', async (q) => {
    const limits: Record<string, number> = { cats: 1, dogs: 3, birds: 7 }
    const added = new Set<string>()
    for (const [aggrId, aggrLimit] of Object.entries(limits)) {
      for (const id of await addMany(q, 60, aggrId, aggrLimit)) added.add(id)
    }
    const running = new Map<string, number>()
    const done = new Set<string>()
    const work = async () => {
      const room = q.room()
      while (done.size < added.size) {
        const claims = await q.claim(room, 4)
        for (const { group } of claims) running.set(group, (running.get(group) ?? 0) + 1)
        for (const [group, limit] of Object.entries(limits)) assert.ok((running.get(group) ?? 0) <= limit, group)
        await q.extend(room, ...claims)
        for (const claim of claims) {
          // counted down before Redis is told: never less than what Redis thinks would be too strict
          running.set(claim.group, (running.get(claim.group) ?? 0) - 1)
          assert.equal(await q.settle(room, claim, { kind: 'rest', reason: 'done' }), 'settled')
          assert.ok(!done.has(claim.job.id), 'a job is done once')
          done.add(claim.job.id)
        }
      }
    }
    await Promise.all(Array.from({ length: 6 }, work))
    assert.deepEqual(done, added)
  })

  test('keeps a full group out of the line until one of its jobs is settled', async (q) => {
    await addMany(q, 3, 'cats', 1)
    const room = q.room()
    const [first] = await q.claim(room, 10)
    assert.ok(first)
    const full = (await q.check()).rooms.get('downloads')
    assert.ok(!full?.line.has('cats') && !full?.due.has('cats'))
    await q.add({ aggrId: 'cats' })
    assert.deepEqual(await q.claim(room, 10), [])

    await q.settle(room, first, { kind: 'gone' })
    assert.ok((await q.check()).rooms.get('downloads')?.line.has('cats'))
    assert.equal((await q.claim(room, 10)).length, 1)
  })

  test('forgets a group with its last job, so that the next first job brings a new limit', async (q) => {
    await q.add({ aggrId: 'cats', aggrLimit: 1, aggrProxy: 'http://proxy.example/' })
    await q.add({ aggrId: 'cats', aggrLimit: 5 })
    const room = q.room()
    for (let i = 0; i < 2; i++) {
      const [claim] = await q.claim(room, 5)
      assert.ok(claim)
      assert.equal(claim.gift, 'http://proxy.example/')
      await q.settle(room, claim, { kind: 'gone' })
    }
    const left = Object.keys(await q.contents()).filter((key) => !key.includes(':call:'))
    assert.deepEqual(left, [`${q.base}downloads`, `${q.base}rooms`, `${q.base}totals`])

    await addMany(q, 3, 'cats', 2)
    const claims = await q.claim(room, 5)
    assert.deepEqual([claims.length, claims[0]?.gift], [2, ''])
  })

  test('keeps the limit of a group while one of its jobs still runs', async (q) => {
    await q.add({ aggrId: 'cats', aggrLimit: 1 })
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.add({ aggrId: 'cats', aggrLimit: 5 })
    assert.deepEqual(await q.claim(room), [])
  })

  for (const [what, name] of Object.entries({
    spaces: ' a  group ',
    newlines: 'a\ngroup\r\n',
    braces: '{group}}{',
    colons: ':a:pending:group:line',
    'the names of lists': 'x:due',
    'other scripts': 'Ομάδα 群组 👩‍👩‍👧 \u202e',
    percents: '%s %b{} %1 \\1',
    'pattern characters': '[*?]^$',
    nothing: '',
  })) {
    test(`works for a group whose name is made of ${what}`, async (q) => {
      const id = await q.add({ aggrId: name, aggrLimit: 1 })
      const second = await q.add({ aggrId: name })
      await q.add({ aggrId: 'another' })
      const room = q.room()
      const claims = await q.claim(room, 3)
      assert.deepEqual(new Set(groups(claims)), new Set([name, 'another']))
      await q.check()
      await q.travel(31_000) // the leases run out
      const again = (await q.claim(room, 3)).find(({ group }) => group === name)
      assert.ok(again)
      assert.equal(again.job.stalls, 1)
      assert.deepEqual(await q.extend(room, again), [])
      await q.check()
      await q.settle(room, again, { kind: 'again', delayMs: 1000, holdMs: 2000 })
      await q.check()
      await q.queue.adjust('downloads', name, { limit: 2 })
      await q.travel(2000)
      assert.deepEqual(new Set(ids(await q.claim(room, 3))), new Set([id, second]))
    })
  }

  test('answers a call that is sent again as it answered the first', async (q) => {
    await addMany(q, 5, 'cats')
    const [, , , ...first] = await call(q, 'worker', 7, 3)
    assert.equal(first.length, 3)
    await q.travel(10_000)
    const before = await q.contents()
    const [standsMs, , , ...second] = await call(q, 'worker', 7, 3)
    assert.deepEqual(second, first)
    assert.ok(standsMs <= 20_000 && standsMs > 19_000, `the leases stand for ${standsMs} ms more`)
    assert.deepEqual(await q.contents(), before)
    const [, , , ...next] = await call(q, 'worker', 8, 3)
    assert.equal(next.length, 2)
  })

  test('answers a call that is sent again with those jobs only that nobody else has by now', async (q) => {
    await addMany(q, 3, 'cats')
    const [, , , ...first] = await call(q, 'worker', 7, 3, 10_000)
    await q.travel(11_000)
    const [taken] = await q.claim(q.room(), 1)
    const again = await call(q, 'worker', 7, 3)
    assert.deepEqual(again.slice(3), [], 'all three leases ran out, and the other worker brought the jobs back')
    const [, , , ...next] = await call(q, 'worker', 8, 3)
    assert.deepEqual(new Set([taken?.job.id, ...next.map(([id]) => id)]), new Set(first.map(([id]) => id)))
  })

  test('gives two workers different jobs under different tokens', async (q) => {
    await addMany(q, 2, 'cats')
    const [, , , one] = await call(q, 'one', 1, 1)
    const [, , , two] = await call(q, 'two', 1, 1)
    assert.notEqual(one?.[0], two?.[0])
    assert.notEqual(one?.[1], two?.[1])
  })

  test('gives a job whose lease ran out to the next worker at its old place, as a stall and not as an attempt', async (q) => {
    const first = await q.add()
    await q.travel(1000)
    const second = await q.add()
    const lost = q.room({ leaseMs: 10_000 })
    assert.deepEqual(ids(await q.claim(lost, 1)), [first])
    await q.travel(9500)
    const room = q.room()
    assert.deepEqual(ids(await q.claim(room, 0)), [], 'the lease still stands')
    await q.travel(500)
    const claims = await q.claim(room, 2)
    assert.deepEqual(ids(claims), [first, second])
    assert.deepEqual(
      claims.map(({ job }) => [job.stalls, job.attempts]),
      [
        [1, 0],
        [0, 0],
      ],
    )
  })

  test('counts every stall of a job', async (q) => {
    await q.add()
    const room = q.room({ leaseMs: 10_000 })
    for (let stalls = 0; stalls < 4; stalls++) {
      const [claim] = await q.claim(room)
      assert.equal(claim?.job.stalls, stalls)
      await q.travel(10_000)
    }
  })

  test('brings back everything that a dead worker held, also when that is very much', async (q) => {
    await Promise.all(Array.from({ length: 350 }, (_, i) => q.add({ aggrId: `group ${i % 7}`, aggrLimit: 50 })))
    assert.equal((await q.claim(q.room({ leaseMs: 10_000 }), 350)).length, 350)
    await q.travel(10_000)
    const room = q.room()
    const back = new Set<string>()
    for (let calls = 0; calls < 4; calls++) for (const id of ids(await q.claim(room, 350))) back.add(id)
    assert.equal(back.size, 350)
  })

  test('says exactly when the next job is due', async (q) => {
    const room = q.room()
    for (const delayMs of [50_000, 20_000, 90_000]) {
      await q.add()
      const [claim] = await q.claim(room)
      assert.ok(claim)
      await q.settle(room, claim, { kind: 'again', delayMs })
    }
    const before = await q.check()
    const due = before.rooms.get('downloads')?.due.get('group') ?? 0
    const [, idleMs] = await call(q, 'worker', 1, 5)
    const { now } = await q.check()
    assert.ok(idleMs <= due - before.now && idleMs >= due - now, `${idleMs} ms`)
    assert.ok(idleMs <= 20_000 && idleMs > 15_000, `${idleMs}`)
  })

  test('says when the first lease ends if that is what comes next, and -1 when nothing is known to come', async (q) => {
    const [, nothing] = await call(q, 'worker', 1, 5)
    assert.equal(nothing, -1)
    await q.add()
    const [standsMs, idleMs, , claim] = await call(q, 'worker', 2, 5, 12_345)
    assert.ok(claim)
    assert.deepEqual([standsMs, idleMs], [12_345, 12_345])
    const { now, rooms } = await q.check()
    const end = rooms.get('downloads')?.leases.get(claim[0]) ?? 0
    assert.ok(end <= now + 12_345 && end > now + 11_000)
  })

  test('says 0 while more can be claimed at once', async (q) => {
    await addMany(q, 2, 'cats')
    const [, idleMs] = await call(q, 'worker', 1, 1)
    assert.equal(idleMs, 0)
  })

  test('suffers no other group to be held up by one whose jobs were deleted by hand', async (q) => {
    const room = q.room()
    await addMany(q, 2, 'deleted', 5)
    await addMany(q, 2, 'whole', 5)
    const deleted = await q.redis.zrange(`${q.base}downloads:pending:deleted`, '0', '-1')
    await q.redis.del(`${q.base}downloads:pending:deleted`)
    assert.equal((await q.claim(room, 10)).length, 2)

    const [lost] = await q.claim(q.room({ leaseMs: 1 })).then(() => q.redis.hkeys(`${q.base}downloads:claims`))
    assert.ok(lost)
    await q.redis.hdel(`${q.base}downloads:claims`, lost)
    await q.travel(60_000)
    assert.equal((await q.claim(room, 10)).length, 1)

    assert.ok(deleted.length === 2)
    await checkQueue(q.redis, q.keys, { mend: true, onFinding: () => {} })
  })
})

describe('the limit of groups whose jobs bring none', () => {
  const { test } = queueSuite()
  const name = 'callbacks:http'

  /** Moves `count` jobs into the callbacks of one receiver. */
  async function callbacks(q: TestQueue, count: number, group = 'http://receiver.example:80'): Promise<void> {
    const downloads = q.room()
    for (let i = 0; i < count; i++) {
      await q.add()
      const [claim] = await q.claim(downloads)
      assert.ok(claim)
      await q.settle(downloads, claim, { kind: 'room', room: name, group })
    }
  }

  test('comes from the workers', async (q) => {
    await callbacks(q, 5)
    assert.equal((await q.claim(q.room({ name, groupLimit: 3 }), 10)).length, 3)
  })

  test('is that of the worker who came last', async (q) => {
    await callbacks(q, 9)
    assert.equal((await q.claim(q.room({ name, groupLimit: 3 }), 10)).length, 3)
    assert.equal((await q.claim(q.room({ name, groupLimit: 5 }), 10)).length, 2)
    assert.equal((await q.claim(q.room({ name, groupLimit: 1 }), 10)).length, 0)
    assert.equal((await q.claim(q.room({ name, groupLimit: 6 }), 10)).length, 1)
    await q.check()
  })

  test('lets full groups back into the line when it rises, and out of it when it falls', async (q) => {
    await callbacks(q, 4, 'one')
    await callbacks(q, 4, 'two')
    const room = q.room({ name, groupLimit: 2 })
    const claims = await q.claim(room, 3)
    assert.equal(claims.length, 3)
    const before = await q.check()
    assert.equal(before.rooms.get(name)?.line.size, 1)
    await q.claim(q.room({ name, groupLimit: 4 }), 0)
    assert.equal((await q.check()).rooms.get(name)?.line.size, 2)
    await q.claim(q.room({ name, groupLimit: 1 }), 0)
    assert.equal((await q.check({ since: before })).rooms.get(name)?.line.size, 0)
    for (const claim of claims) await q.settle(room, claim, { kind: 'gone' })
    assert.equal((await q.check()).rooms.get(name)?.line.size, 2)
  })

  test('is 1 until a worker came', async (q) => {
    await callbacks(q, 2)
    const { claims } = await q.room({ name, groupLimit: 0 }).claim(5, never)
    assert.equal(claims.length, 1)
  })
})

describe('a claim that needs the place in its group no more', () => {
  const { test } = queueSuite()

  /** The second job of a group of limit 1 waits for the first. */
  async function oneOfTwo(q: TestQueue, leaseMs = 30_000) {
    await q.add({ aggrLimit: 1 })
    await q.add()
    const room = q.room({ leaseMs })
    const [claim] = await q.claim(room, 2)
    assert.ok(claim)
    return { room, claim }
  }

  test('lets the next job of the group start, in the same call', async (q) => {
    const { room, claim } = await oneOfTwo(q)
    const { claims } = await room.claim(1, never, [claim])
    assert.equal(claims.length, 1)
    assert.notEqual(claims[0]?.job.id, claim.job.id)
    assert.deepEqual((await room.claim(5, never)).claims, [])
  })

  test('keeps its lease, and is settled like any other', async (q) => {
    const { room, claim } = await oneOfTwo(q)
    const { claims } = await room.claim(1, never, [claim])
    const [next] = claims
    assert.ok(next)
    assert.deepEqual(await q.extend(room, claim, next), [])
    await q.add()
    assert.equal(await q.settle(room, claim, { kind: 'gone' }), 'settled')
    assert.deepEqual(await q.claim(room), [], 'its place was taken already')
    await q.settle(room, next, { kind: 'gone' })
    assert.equal((await q.claim(room)).length, 1)
  })

  test('counts again when its lease ran out', async (q) => {
    const { room, claim } = await oneOfTwo(q, 10_000)
    assert.deepEqual((await room.claim(0, never, [claim])).claims, [])
    await q.check()
    await q.travel(10_000)
    const [again] = await q.claim(room, 5)
    assert.deepEqual([again?.job.id, again?.job.stalls], [claim.job.id, 1])
    assert.deepEqual(await q.claim(room, 5), [])
  })

  test('keeps its group alive', async (q) => {
    await q.add({ aggrLimit: 1, aggrProxy: 'http://proxy.example/' })
    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await room.claim(0, never, [claim])
    await q.add({ aggrLimit: 5 })
    assert.equal((await q.claim(room))[0]?.gift, 'http://proxy.example/')
  })

  test('counts for the limit that the same call brings', async (q) => {
    const name = 'callbacks:http'
    const downloads = q.room()
    for (let i = 0; i < 4; i++) {
      await q.add()
      const [claim] = await q.claim(downloads)
      assert.ok(claim)
      await q.settle(downloads, claim, { kind: 'room', room: name, group: 'receiver' })
    }
    const before = q.room({ name, groupLimit: 2 })
    const [one, two] = await q.claim(before, 5)
    assert.ok(one && two)
    assert.equal((await q.room({ name, groupLimit: 1 }).claim(5, never, [one])).claims.length, 0)
    await q.check()
    assert.equal((await q.room({ name, groupLimit: 3 }).claim(5, never, [two])).claims.length, 2)
  })

  test('changes nothing when it is said twice, or by somebody who lost it', async (q) => {
    const { room, claim } = await oneOfTwo(q)
    const before = await q.contents()
    await room.claim(0, never, [{ ...claim, token: 'stranger:1' }])
    assert.deepEqual(await q.contents(), before)
    await room.claim(0, never, [claim])
    const left = await q.contents()
    await room.claim(0, never, [claim])
    assert.deepEqual(await q.contents(), left)
    await q.settle(room, claim, { kind: 'again', delayMs: 60_000 })
    const settled = await q.contents()
    await room.claim(0, never, [claim])
    assert.deepEqual(await q.contents(), settled)
  })
})
