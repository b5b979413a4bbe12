import assert from 'node:assert/strict'
import type { Place } from '../../src/jobs/places.ts'
import type { Claim, Room } from '../../src/queue/room.ts'
import { queueSuite, type TestQueue } from '../support/queue.ts'

describe('settling a claim', () => {
  const { test } = queueSuite()

  async function oneClaim(q: TestQueue, leaseMs = 30_000): Promise<{ room: Room; claim: Claim; id: string }> {
    const id = await q.add()
    const room = q.room({ leaseMs })
    const [claim] = await q.claim(room)
    assert.ok(claim)
    return { room, claim, id }
  }

  const toCallbacks: Place = { kind: 'room', room: 'callbacks:http', group: 'http://receiver.example:80' }
  const kinds: Record<string, Place> = {
    'to the next room': toCallbacks,
    'to the next room, shrunk': { ...toCallbacks, shrink: true },
    'to the next room, with a hold': { ...toCallbacks, holdMs: 2000 },
    'to be tried again': { kind: 'again', delayMs: 1000 },
    'to be tried again, with a hold': { kind: 'again', delayMs: 1000, holdMs: 2000 },
    'back to its place': { kind: 'back' },
    'to rest': { kind: 'rest', reason: 'failed' },
    'out of the system': { kind: 'gone' },
  }

  for (const [where, place] of Object.entries(kinds)) {
    test(`${where} changes nothing when it is repeated`, async (q) => {
      const { room, claim } = await oneClaim(q)
      assert.equal(await q.settle(room, claim, place, { attempts: 1 }), 'settled')
      const before = await q.contents()
      const again = await q.settle(room, claim, place, { attempts: 1 })
      assert.equal(again, place.kind === 'gone' ? 'gone' : 'settled')
      assert.deepEqual(await q.contents(), before)
    })

    test(`${where} changes nothing without the claim's token`, async (q) => {
      const { room, claim } = await oneClaim(q)
      const before = await q.contents()
      const stranger = { ...claim, token: 'stranger:1' }
      assert.equal(await q.settle(room, stranger, place, { attempts: 1 }), 'lost')
      assert.deepEqual(await q.contents(), before)
      assert.equal(await q.settle(room, claim, place), 'settled')
    })

    test(`${where} changes nothing once another worker has the job`, async (q) => {
      const { room, claim } = await oneClaim(q, 10_000)
      await q.travel(10_000)
      const [taken] = await q.claim(q.room())
      assert.equal(taken?.job.id, claim.job.id)
      const before = await q.contents()
      assert.equal(await q.settle(room, claim, place, { attempts: 1 }), 'lost')
      assert.deepEqual(await q.contents(), before)
    })

    test(`${where} changes nothing once another worker has settled the job`, async (q) => {
      const { room, claim } = await oneClaim(q, 10_000)
      await q.travel(10_000)
      const other = q.room()
      const [taken] = await q.claim(other)
      assert.ok(taken)
      await q.settle(other, taken, { kind: 'again', delayMs: 5000 })
      const before = await q.contents()
      assert.equal(await q.settle(room, claim, place, { attempts: 1 }), 'lost')
      assert.deepEqual(await q.contents(), before)
    })

    test(`${where} is possible after the lease ran out, as long as nobody took the job`, async (q) => {
      const { room, claim } = await oneClaim(q, 10_000)
      await q.travel(60_000)
      assert.equal(await q.settle(room, claim, place, { attempts: 1 }), 'settled')
    })

    test(`${where} says that a job is gone which nobody has any more`, async (q) => {
      const { room, claim } = await oneClaim(q)
      await q.redis.eval("redis.call('DEL', unpack(redis.call('KEYS', ARGV[1] .. '*')))", 1, q.base, q.base)
      assert.equal(await q.settle(room, claim, place, { attempts: 1 }), 'gone')
      assert.deepEqual(await q.contents(), {})
    })
  }

  test('moves a job into the next room, where it begins with no stalls', async (q) => {
    const { room, id } = await oneClaim(q, 10_000)
    await q.travel(10_000)
    const [claim] = await q.claim(room)
    assert.ok(claim)
    assert.equal(claim.job.stalls, 1)
    await q.settle(room, claim, toCallbacks, { attempts: 1, storage: 'files' })

    const callbacks = q.room({ name: 'callbacks:http', groupLimit: 5 })
    const [next] = await q.claim(callbacks)
    assert.equal(next?.job.id, id)
    assert.equal(next?.group, 'http://receiver.example:80')
    assert.equal(next?.job.request?.url, 'http://origin.example/file')
    assert.deepEqual([next?.job.attempts, next?.job.stalls, next?.job.storage], [1, 0, 'files'])
  })

  test('begins a group in the next room with the limit and gift that the move brings', async (q) => {
    const { room, claim } = await oneClaim(q)
    await q.settle(room, claim, { ...toCallbacks, limit: 4, gift: 'for you' })
    const group = (await q.check()).rooms.get('callbacks:http')?.groups.get('http://receiver.example:80')
    assert.equal(group, '4 for you')
  })

  test('moves a job into the next room for later', async (q) => {
    const { room, claim, id } = await oneClaim(q)
    await q.settle(room, claim, { kind: 'room', room: 'deletions:files', group: 'files', delayMs: 60_000 })
    const deletions = q.room({ name: 'deletions:files', groupLimit: 5 })
    assert.deepEqual(await q.claim(deletions), [])
    await q.travel(60_000)
    assert.equal((await q.claim(deletions))[0]?.job.id, id)
  })

  test('drops the request from a record that shrinks, and keeps the rest', async (q) => {
    const { room, claim, id } = await oneClaim(q)
    const result = {
      success: true,
      error: '',
      errorCode: '',
      responseCode: 200,
      imageSize: '',
      size: 3,
      sha256: 'abc',
      mimeType: 'text/plain',
      path: 'abc/abcdef',
    }
    const deletions: Place = { kind: 'room', room: 'deletions:files', group: 'files', shrink: true }
    await q.settle(room, claim, deletions, { attempts: 1, result, storage: 'files' })
    const [next] = await q.claim(q.room({ name: 'deletions:files', groupLimit: 5 }))
    assert.equal(next?.job.request, undefined)
    assert.deepEqual(next?.job.result, result)
    assert.deepEqual((await q.queue.find(id))?.result, result)
    assert.equal((await q.check()).requests.size, 0)
  })

  test('lets a job that is tried again wait alone while its group goes on', async (q) => {
    const { room, claim, id } = await oneClaim(q)
    const other = await q.add()
    await q.settle(room, claim, { kind: 'again', delayMs: 5000 }, { attempts: 1 })
    assert.deepEqual(
      (await q.claim(room, 5)).map(({ job }) => job.id),
      [other],
    )
    await q.travel(5000)
    const [again] = await q.claim(room, 5)
    assert.deepEqual([again?.job.id, again?.job.attempts, again?.job.stalls], [id, 1, 0])
  })

  test('holds the whole group where the move says so, and no other', async (q) => {
    const { room, claim } = await oneClaim(q)
    await q.add()
    const elsewhere = await q.add({ aggrId: 'another' })
    await q.settle(room, claim, { kind: 'again', delayMs: 1000, holdMs: 5000 })
    await q.add()
    assert.deepEqual(
      (await q.claim(room, 5)).map(({ job }) => job.id),
      [elsewhere],
    )
    await q.travel(4000)
    assert.deepEqual(await q.claim(room, 5), [])
    await q.travel(1000)
    assert.equal((await q.claim(room, 5)).length, 3)
  })

  test('holds the group that the job leaves, also when it goes on or rests', async (q) => {
    for (const place of [toCallbacks, { kind: 'rest', reason: 'failed' } as const]) {
      const aggrId = place.kind
      for (let i = 0; i < 2; i++) await q.add({ aggrId, aggrLimit: 1 })
      const room = q.room()
      const [claim] = await q.claim(room)
      assert.ok(claim)
      await q.settle(room, claim, { ...place, holdMs: 5000 })
      await q.check()
      await q.travel(4000)
      assert.deepEqual(await q.claim(room), [])
      await q.travel(1000)
      assert.equal((await q.claim(room)).length, 1)
    }
    assert.equal((await q.claim(q.room({ name: 'callbacks:http', groupLimit: 1 }))).length, 1)
  })

  test('keeps the longer of two holds, whichever came first', async (q) => {
    for (const [first, second] of [
      [9000, 3000],
      [3000, 9000],
    ] as const) {
      const aggrId = `${first} ${second}`
      await q.add({ aggrId })
      await q.add({ aggrId })
      const room = q.room()
      const [one, two] = await q.claim(room, 2)
      assert.ok(one && two)
      await q.settle(room, one, { kind: 'again', delayMs: 0, holdMs: first })
      await q.settle(room, two, { kind: 'again', delayMs: 0, holdMs: second })
      await q.travel(8000)
      assert.deepEqual(await q.claim(room, 2), [])
      await q.travel(1000)
      assert.equal((await q.claim(room, 2)).length, 2)
    }
  })

  test('lets a job wait longer than the hold that it brought', async (q) => {
    const { room, claim } = await oneClaim(q)
    await q.settle(room, claim, { kind: 'again', delayMs: 9000, holdMs: 3000 })
    await q.check()
    await q.travel(8000)
    assert.deepEqual(await q.claim(room), [])
    await q.travel(1000)
    assert.equal((await q.claim(room)).length, 1)
  })

  test('holds a group that is full until it is neither', async (q) => {
    await q.add({ aggrId: 'cats', aggrLimit: 2 })
    await q.add({ aggrId: 'cats' })
    await q.add({ aggrId: 'cats' })
    const room = q.room()
    const [one, two] = await q.claim(room, 2)
    assert.ok(one && two)
    await q.settle(room, one, { kind: 'again', delayMs: 0, holdMs: 5000 })
    await q.check()
    await q.settle(room, two, { kind: 'gone' })
    assert.deepEqual(await q.claim(room, 2), [])
    await q.travel(5000)
    assert.equal((await q.claim(room, 2)).length, 2)
  })

  test('forgets a hold with its group', async (q) => {
    const { room, claim } = await oneClaim(q)
    const other = await q.add()
    const [running] = await q.claim(room)
    assert.equal(running?.job.id, other)
    await q.settle(room, claim, { kind: 'again', delayMs: 0, holdMs: 5000 })
    await q.settle(room, running as Claim, { kind: 'gone' })
    await q.travel(5000)
    const [last] = await q.claim(room)
    await q.settle(room, last as Claim, { kind: 'gone' })
    await q.check()
    await q.add()
    assert.equal((await q.claim(room)).length, 1)
  })

  test('puts a job that is handed back in front of those that came later', async (q) => {
    const order: string[] = []
    for (let i = 0; i < 3; i++) {
      order.push(await q.add())
      await q.travel(10)
    }
    const room = q.room()
    const claims = await q.claim(room, 3)
    for (const claim of [...claims].reverse()) await q.settle(room, claim, { kind: 'back' })
    const again = await q.claim(room, 3)
    assert.deepEqual(
      again.map(({ job }) => job.id),
      order,
    )
    assert.deepEqual(
      again.map(({ job }) => [job.attempts, job.stalls]),
      [
        [0, 0],
        [0, 0],
        [0, 0],
      ],
    )
  })

  test('lays a job to rest by its reason, in the order of time', async (q) => {
    const rested: string[] = []
    for (let i = 0; i < 3; i++) {
      const { room, claim, id } = await oneClaim(q)
      await q.settle(room, claim, { kind: 'rest', reason: 'done' })
      rested.push(id)
      await q.travel(1000)
    }
    assert.deepEqual(await q.queue.resting('done', 0, 10), rested)
    assert.deepEqual(await q.queue.resting('done', 0, 2), rested.slice(0, 2))
    assert.deepEqual(await q.queue.resting('done', 10_000, 10), [])
    assert.deepEqual(await q.queue.resting('failed', 0, 10), [])
    assert.deepEqual([...(await q.check()).rest.keys()], ['done'])
  })

  test('leaves nothing of a job that is gone but its count', async (q) => {
    const { room, claim } = await oneClaim(q)
    await q.settle(room, claim, { kind: 'gone' })
    const { totals, requests, states } = await q.check()
    assert.deepEqual([totals.get('accepted'), totals.get('gone'), requests.size, states.size], [1, 1, 0, 0])
  })

  test('writes what the move says of the record', async (q) => {
    const { room, claim, id } = await oneClaim(q)
    const patch = { attempts: 3, deliveries: 2, deletions: 1, storage: 'files', deliveryError: 'no "answer"\n' }
    await q.settle(room, claim, { kind: 'rest', reason: 'callback-failed' }, patch)
    const job = await q.queue.find(id)
    assert.deepEqual({ ...job, ...patch }, job)
  })

  test('follows a job through the rooms to its end', async (q) => {
    const { room, claim } = await oneClaim(q)
    await q.settle(room, claim, toCallbacks, { attempts: 1 })
    const callbacks = q.room({ name: 'callbacks:http', groupLimit: 5 })
    const [delivery] = await q.claim(callbacks)
    assert.ok(delivery)
    const toDeletions: Place = { kind: 'room', room: 'deletions:files', group: 'files', shrink: true }
    await q.settle(callbacks, delivery, toDeletions, { deliveries: 1 })
    const deletions = q.room({ name: 'deletions:files', groupLimit: 5 })
    const [deletion] = await q.claim(deletions)
    assert.ok(deletion)
    await q.settle(deletions, deletion, { kind: 'gone' })
    const left = Object.keys(await q.contents()).filter((key) => !key.includes(':call:'))
    const kept = ['callbacks:http', 'deletions:files', 'downloads', 'rooms', 'totals']
    assert.deepEqual(
      left.sort(),
      kept.map((name) => q.base + name),
    )
  })

  test('leaves the answer to a settle of an earlier room standing while the job is on its way', async (q) => {
    const { room, claim } = await oneClaim(q)
    await q.settle(room, claim, toCallbacks)
    await q.claim(q.room({ name: 'callbacks:http', groupLimit: 5 }))
    const before = await q.contents()
    assert.equal(await q.settle(room, claim, toCallbacks), 'settled')
    assert.deepEqual(await q.contents(), before)
  })
})
