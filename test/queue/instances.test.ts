import assert from 'node:assert/strict'
import { instancesOf } from '../../src/queue/instances.ts'
import { queueSuite, type TestQueue } from '../support/queue.ts'

describe('the live processes of a role', () => {
  const { test } = queueSuite()
  const processors = (q: TestQueue) => instancesOf(q.redis, q.keys, 'processor')

  test('are added up', async (q) => {
    const instances = processors(q)
    await instances.report('one', { workers: 2, failures: 1 }, 5000)
    await instances.report('two', { workers: 3, 'download.response.200': 7 }, 5000)
    await instances.report('one', { workers: 4, failures: 2 }, 5000)
    assert.deepEqual(await instances.sum(), { alive: 2, workers: 7, failures: 2, 'download.response.200': 7 })
    assert.deepEqual(await instances.names(), new Set(['one', 'two']))
  })

  test('are none when none has reported', async (q) => {
    await instancesOf(q.redis, q.keys, 'notifier').report('one', { failedCallbacks: 1 }, 5000)
    assert.equal(await processors(q).sum(), undefined)
    assert.deepEqual(await processors(q).names(), new Set())
  })

  test('are forgotten when they stop reporting', async (q) => {
    const instances = processors(q)
    await instances.report('dead', { workers: 2 }, 5000)
    await instances.report('alive', { workers: 3 }, 5000)
    await q.redis.zincrby(q.keys.instances('processor'), -14_000, 'dead')
    assert.equal((await instances.sum())?.alive, 2)
    await q.redis.zincrby(q.keys.instances('processor'), -1000, 'dead')
    assert.deepEqual(await instances.sum(), { alive: 1, workers: 3 })
    assert.equal(await q.redis.hlen(q.keys.reports('processor')), 1)
  })

  test('are gone at once when they say so', async (q) => {
    const instances = processors(q)
    await instances.report('one', { workers: 2 }, 5000)
    await instances.retire('one')
    assert.equal(await instances.sum(), undefined)
    assert.deepEqual(await q.contents(), {})
  })
})
