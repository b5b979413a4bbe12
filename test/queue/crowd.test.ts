import assert from 'node:assert/strict'
import { packRequest } from '../../src/jobs/record.ts'
import type { Claim, Room } from '../../src/queue/room.ts'
import { never, queueSuite, request, type TestQueue } from '../support/queue.ts'

const HOSTS = 5000
const host = (i: number) => `h${i}.example`

/** Adds three jobs for each of so many hosts, 500 of them in a call. */
async function addForHosts(q: TestQueue, aggrId: string, count: number): Promise<void> {
  const room = q.keys.room('downloads')
  for (let i = 0; i < 3 * count; i += 500) {
    const jobs = Array.from({ length: 500 }, (_, k) => {
      const text = packRequest(request({ aggrId, aggrLimit: 100_000, url: `http://${host((i + k) % count)}/${i + k}` }))
      return [`${aggrId}-${i + k}`, text, aggrId, '100000', '', 0, 0, 0, '', '']
    })
    await q.redis.addJobs(room, 0, ...jobs.flat())
  }
}

/** Claims until there is nothing to claim now. */
async function claimAll(room: Room, count: number) {
  const claims: Claim[] = []
  let slowestMs = 0
  for (;;) {
    const began = performance.now()
    const reply = await room.claim(count, never)
    slowestMs = Math.max(slowestMs, performance.now() - began)
    claims.push(...reply.claims)
    if (reply.claims.length < count && reply.idleMs !== 0) return { claims, slowestMs }
  }
}

describe('a crowd of hosts in trouble', () => {
  const { test } = queueSuite()

  test('keeps neither a claim nor another group waiting', async (q) => {
    const room = q.room({ hostLimit: 2 })
    await addForHosts(q, 'crowd', HOSTS)
    const { claims, slowestMs: movingMs } = await claimAll(room, 500)
    assert.equal(claims.length, 2 * HOSTS)
    for (let i = 0; i < 3; i++) await q.add({ aggrId: 'another', url: `http://fine-${i}.example/` })
    const groups = new Set<string>()
    for (let i = 0; i < 3; i++) for (const { group } of await q.claim(room, 5)) groups.add(group)
    assert.ok(groups.has('another'))
    // now all of them may be asked, and before anybody does so, they may not
    const ends = claims.slice(HOSTS)
    for (let i = 0; i < HOSTS; i += 500) {
      await Promise.all(ends.slice(i, i + 500).map((claim) => q.settle(room, claim, { kind: 'gone' })))
    }
    const strict = q.room({ hostLimit: 1 })
    const { slowestMs, claims: none } = await claimAll(strict, 500)
    assert.equal(none.length, 0)
    assert.ok(slowestMs < movingMs, `${slowestMs} ms instead of ${movingMs}`)
  })
})
