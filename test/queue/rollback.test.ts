import assert from 'node:assert/strict'
import type { Room } from '../../src/queue/room.ts'
import { never, openQueue, type TestQueue, until } from '../support/queue.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

const LEASE_MS = 4000

/** Workers in processes of their own have connections of their own; here all share one, and reconnect together. */
describe('a Redis that comes back', () => {
  let server: TestRedis
  let q: TestQueue
  let one: Room
  let other: Room

  beforeEach(async () => {
    server = await startRedis()
    q = openQueue(server)
    one = q.room({ leaseMs: LEASE_MS })
    other = q.room({ leaseMs: LEASE_MS })
    await q.add({ aggrId: 'cats', aggrLimit: 1 })
    await q.add({ aggrId: 'cats', aggrLimit: 1 })
    for (const room of [one, other]) assert.deepEqual(await q.claim(room, 0), []) // they have called, and hold nothing
  })
  afterEach(async () => {
    await q[Symbol.asyncDispose]()
    await server[Symbol.asyncDispose]()
  })

  /** Redis keeps what it has at this moment, dies, and comes back with it. */
  const save = () => server.cli('SAVE')
  async function restart() {
    await server.kill()
    await server.start()
  }
  const idleMs = async (room: Room) => (await room.claim(1, never)).idleMs

  it('without its last claims gives their places to nobody for a lease', async () => {
    await save()
    const [claim] = await q.claim(one)
    assert.ok(claim)
    await restart()
    assert.deepEqual(await q.claim(other), [], 'the other worker may ask first')
    assert.deepEqual(await q.extend(one, claim), [claim.job.id], 'the claim is lost')
    assert.deepEqual(await q.claim(other), [])
    const wait = await idleMs(other)
    assert.ok(wait > LEASE_MS - 1000 && wait <= LEASE_MS, `${wait} ms`)
    await until('the lease is over', async () => (await q.claim(other)).length === 1)
  })

  it('without its last claims gives away nothing either when their worker asks for more first', async () => {
    await save()
    const claims = await q.claim(one)
    assert.equal(claims.length, 1)
    await restart()
    assert.deepEqual(await q.claim(one), [])
    assert.deepEqual(await q.claim(other), [])
  })

  it('without the first call of a worker gives its place to nobody', async () => {
    await save()
    const newcomer = q.room({ leaseMs: LEASE_MS })
    const [claim] = await q.claim(newcomer)
    assert.ok(claim)
    await restart()
    for (const room of [one, other]) assert.deepEqual(await q.claim(room), [], 'all that Redis knows of have called')
    assert.deepEqual(await q.extend(newcomer, claim), [claim.job.id], 'the claim is lost')
    assert.ok((await idleMs(other)) > LEASE_MS - 1000)
  })

  it('with all of its claims goes on when every worker has called', async () => {
    const [claim] = await q.claim(one)
    assert.ok(claim)
    await q.add({ aggrId: 'dogs' })
    await save()
    await restart()
    assert.deepEqual(await q.claim(other), [])
    assert.deepEqual(await q.extend(one, claim), [])
    let bells = 0
    one.onBell(() => bells++)
    await until('the room opens', async () => (await q.claim(other)).length === 1)
    await until('the bell rings for those who wait', () => bells > 0)
  })

  it('waits for no worker that has stopped', async () => {
    const [claim] = await q.claim(one)
    assert.ok(claim)
    await q.settle(one, claim, { kind: 'back' })
    await one.retire()
    await save()
    await restart()
    const wait = await idleMs(other)
    assert.ok(wait <= 2000, `${wait} ms`)
    await until('the room opens', async () => (await q.claim(other)).length === 1)
  })

  it('waits for a worker that does not come back no longer than its lease', async () => {
    await q.claim(one)
    await q.add({ aggrId: 'dogs' })
    await save()
    await restart()
    const wait = await idleMs(other)
    assert.ok(wait > 0 && wait <= LEASE_MS, `${wait} ms`)
    await until('it is given up', async () => (await q.claim(other)).length === 1)
  })

  it('is waited for once, also when it comes back again and again', async () => {
    await q.claim(one, 0)
    await save()
    for (let i = 0; i < 3; i++) await restart()
    assert.deepEqual(await q.claim(other), [])
    await q.claim(one, 0)
    await until('the room opens', async () => (await q.claim(other)).length === 1)
  })
})
