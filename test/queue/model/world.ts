import assert from 'node:assert/strict'
import { type FrozenClock, freezeClock } from '../../support/frozen-clock.ts'
import { openQueue, type TestQueue } from '../../support/queue.ts'
import { checkBooks, contentsOf, dumpOf, readDump } from '../../support/queue-invariants.ts'
import type { TestRedis } from '../../support/redis.ts'
import { type Reference, referenceQueue } from './reference.ts'
import { type Sleepers, sleepersOf } from './sleepers.ts'
import { viewOfReference, viewOfSnapshot } from './view.ts'

/** The real queue, and beside it the reference that knows what must become of all that is done to it. */
export interface World extends AsyncDisposable {
  readonly q: TestQueue
  readonly clock: FrozenClock
  readonly reference: Reference
  readonly sleepers: Sleepers
  /** Reads all that Redis holds, and compares it with itself and with the reference. */
  compare(): Promise<void>
  /** Does what must change nothing at all, then compares. */
  unchanged(action: () => Promise<void>): Promise<void>
  /** Wakes the workers whose bell has rung. */
  hear(): Promise<void>
}

export async function openWorld(server: TestRedis): Promise<World> {
  const q = openQueue(server)
  await q.redis.flushall()
  const clock = await freezeClock(q.redis)
  const reference = referenceQueue(clock.now)
  const sleepers = sleepersOf()
  let { snapshot, contents } = await read()

  async function read() {
    const [dump] = await Promise.all([dumpOf(q.redis, q.base), hear()])
    const moment = { ...dump, now: clock.now }
    return { snapshot: readDump(moment, q.base), contents: contentsOf(moment) }
  }

  async function hear(): Promise<void> {
    for (const channel of await clock.rung()) sleepers.ring(channel.slice(q.base.length, -':bell'.length))
  }

  async function compare(): Promise<void> {
    const before = snapshot
    ;({ snapshot, contents } = await read())
    checkBooks(snapshot, { since: before })
    assert.deepEqual(viewOfSnapshot(snapshot, reference.rooms.keys()), viewOfReference(reference))
    for (const room of reference.rooms.keys()) {
      sleepers.check(room, reference.now, () => reference.nextClaimable(room))
    }
  }

  return {
    q,
    clock,
    reference,
    sleepers,
    hear,
    compare,
    async unchanged(action) {
      const before = contents
      await action()
      await compare()
      assert.deepEqual(contents, before, 'nothing may change')
    },
    [Symbol.asyncDispose]: () => q[Symbol.asyncDispose](),
  }
}
