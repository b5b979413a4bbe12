import assert from 'node:assert/strict'
import { queueSuite } from '../support/queue.ts'

describe('extending leases', () => {
  const { test } = queueSuite()

  test('keeps a job from the next worker', async (q) => {
    await q.add()
    const room = q.room({ leaseMs: 10_000 })
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.travel(9000)
    assert.deepEqual(await q.extend(room, claim), [])
    await q.travel(9000)
    assert.deepEqual(await q.claim(q.room()), [])
    await q.travel(1000)
    assert.equal((await q.claim(q.room())).length, 1)
  })

  test('works for a lease that ran out, as long as nobody took the job', async (q) => {
    await q.add()
    const room = q.room({ leaseMs: 10_000 })
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.travel(60_000)
    assert.deepEqual(await q.extend(room, claim), [])
    assert.deepEqual(await q.claim(q.room()), [])
    assert.equal(await q.settle(room, claim, { kind: 'gone' }), 'settled')
  })

  test('says which leases are lost, and extends the others', async (q) => {
    for (let i = 0; i < 4; i++) await q.add({ aggrId: `group ${i}` })
    const room = q.room({ leaseMs: 10_000 })
    const claims = await q.claim(room, 3)
    const [mine, taken, settled] = claims
    assert.ok(mine && taken && settled)
    await q.settle(room, settled, { kind: 'gone' })
    await q.travel(9000)
    await q.extend(room, mine)
    await q.travel(5000)
    await q.claim(q.room(), 5)

    assert.deepEqual(new Set(await q.extend(room, ...claims)), new Set([taken.job.id, settled.job.id]))
    const leases = (await q.check()).rooms.get('downloads')?.leases
    assert.equal(leases?.size, 3)
    assert.ok(!leases?.has(settled.job.id))
  })

  test('changes nothing where the lease is lost', async (q) => {
    await q.add()
    const room = q.room({ leaseMs: 10_000 })
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.travel(10_000)
    await q.claim(q.room())
    const before = await q.contents()
    assert.deepEqual(await q.extend(room, claim), [claim.job.id])
    assert.deepEqual(await q.contents(), before)
  })

  test('takes one call for hundreds', async (q) => {
    await Promise.all(Array.from({ length: 600 }, () => q.add()))
    const room = q.room({ leaseMs: 10_000 })
    const claims = await q.claim(room, 600)
    assert.equal(claims.length, 600)
    await q.travel(9999)
    assert.deepEqual(await q.extend(room, ...claims), [])
    const { now, rooms } = await q.check()
    for (const end of rooms.get('downloads')?.leases.values() ?? []) assert.ok(end > now + 9000)
  })

  test('asks nothing of Redis when there is nothing to extend', async (q) => {
    assert.deepEqual(await q.extend(q.room()), [])
  })
})
