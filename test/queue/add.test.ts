import assert from 'node:assert/strict'
import { addByScript, openQueue, queueSuite } from '../support/queue.ts'

describe('adding a job', () => {
  const { server, test } = queueSuite()

  test('makes it pending in its group, which begins with its limit and proxy', async (q) => {
    const id = await q.add({ aggrId: 'cats', aggrLimit: 8, aggrProxy: 'http://proxy.example:3128' })
    const room = (await q.check()).rooms.get('downloads')
    assert.deepEqual([...(room?.pending.get('cats')?.keys() ?? [])], [id])
    assert.equal(room?.groups.get('cats'), '8 http://proxy.example:3128')
    assert.ok(room?.line.has('cats'))
  })

  test('leaves limit and proxy of a group as its first job gave them', async (q) => {
    await q.add({ aggrId: 'cats', aggrLimit: 8 })
    await q.add({ aggrId: 'cats', aggrLimit: 1, aggrProxy: 'http://proxy.example:3128' })
    assert.equal((await q.check()).rooms.get('downloads')?.groups.get('cats'), '8 ')
  })

  test('is counted', async (q) => {
    await q.add()
    await q.add()
    assert.equal((await q.check()).totals.get('accepted'), 2)
  })

  test('changes nothing when it is repeated', async (q) => {
    const add = (group: string, terms: string) =>
      addByScript(q.redis, q.keys.room('downloads'), { id: 'AAAAAAAAAAAAAA', group, terms })
    assert.equal(await add('cats', '8'), 'added')
    const before = await q.contents()
    assert.equal(await add('cats', '8'), 'known')
    assert.equal(await add('dogs', '2'), 'known')
    assert.deepEqual(await q.contents(), before)
  })

  test('changes nothing when it is repeated while the job runs', async (q) => {
    const add = () => addByScript(q.redis, q.keys.room('downloads'), { id: 'AAAAAAAAAAAAAA' })
    await add()
    assert.equal((await q.claim(q.room())).length, 1)
    const before = await q.contents()
    assert.equal(await add(), 'known')
    assert.deepEqual(await q.contents(), before)
  })

  test('may be told to start later', async (q) => {
    const room = q.keys.room('downloads')
    await addByScript(q.redis, room, { id: 'AAAAAAAAAAAAAA', delayMs: 60_000 })
    const worker = q.room()
    assert.deepEqual(await q.claim(worker), [])
    await q.travel(59_000)
    assert.deepEqual(await q.claim(worker), [])
    await q.travel(1000)
    assert.deepEqual(
      (await q.claim(worker)).map(({ job }) => job.id),
      ['AAAAAAAAAAAAAA'],
    )
  })

  test('keeps deployments with other prefixes apart', async (q) => {
    await using other = openQueue(server())
    await other.add()
    assert.deepEqual(await q.claim(q.room()), [])
    assert.equal((await other.claim(other.room())).length, 1)
  })
})

describe('a job that was accepted', () => {
  const { test } = queueSuite()

  test('is found by its id, wherever it is', async (q) => {
    const id = await q.add({ url: 'http://origin.example/1', requestHeaders: { Accept: '*/*' } })
    const pending = await q.queue.find(id)
    assert.equal(pending?.request?.url, 'http://origin.example/1')
    assert.deepEqual(pending?.request?.requestHeaders, { Accept: '*/*' })
    assert.equal(pending?.attempts, 0)

    const room = q.room()
    const [claim] = await q.claim(room)
    assert.ok(claim)
    await q.settle(
      room,
      claim,
      { kind: 'rest', reason: 'callback-failed' },
      { attempts: 2, deliveryError: 'no answer' },
    )
    const resting = await q.queue.find(id)
    assert.equal(resting?.attempts, 2)
    assert.equal(resting?.deliveryError, 'no answer')
    assert.equal(await q.queue.find('BBBBBBBBBBBBBB'), undefined)
  })

  test('remembers when it came', async (q) => {
    const before = (await q.check()).now
    await q.add()
    const { now } = await q.check()
    const [claim] = await q.claim(q.room())
    assert.ok(claim && claim.job.createdMs >= before && claim.job.createdMs <= now, `${claim?.job.createdMs}`)
  })

  test('is counted with its group', async (q) => {
    const names = ['cats', 'dogs', 'a "b" : {c}\n', '']
    for (const aggrId of names) await q.add({ aggrId })
    await q.add({ aggrId: 'dogs' })
    await q.add({ aggrId: 'running' })
    const room = q.room()
    const claims = await q.claim(room, 6)
    for (const claim of claims) if (claim.group !== 'running') await q.settle(room, claim, { kind: 'back' })
    assert.deepEqual(await q.queue.groups('downloads'), [
      { group: '', pending: 1 },
      { group: 'a "b" : {c}\n', pending: 1 },
      { group: 'cats', pending: 1 },
      { group: 'dogs', pending: 2 },
    ])
  })

  test('is counted once in a room with thousands of groups', async (q) => {
    const groups = Array.from({ length: 3000 }, (_, i) => `group ${String(i).padStart(4, '0')}`)
    await Promise.all(groups.map((aggrId) => q.add({ aggrId })))
    assert.deepEqual(
      await q.queue.groups('downloads'),
      groups.map((group) => ({ group, pending: 1 })),
    )
  })
})
