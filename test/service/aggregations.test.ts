import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import type { z } from 'zod'
import type { AggregationList } from '../../src/api/schemas/aggregation.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startService } from '../support/service.ts'

describe('an aggregation', () => {
  let service: Service
  let origin: Origin
  /** Responses that wait to be ended, by path. */
  const open = new Map<string, ServerResponse[]>()

  before(async () => {
    origin = await startOrigin()
    service = await startService({ roles: ['start'], config: { processor: { concurrency: 6 } } })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  function holding(path: string): string {
    open.set(path, [])
    return origin.on(path, (_request, response) => {
      response.write('first')
      openAt(path).push(response)
    })
  }
  const openAt = (path: string) => open.get(path) ?? []
  const finishAll = (path: string) => {
    for (const response of openAt(path).splice(0)) response.end()
  }

  it('keeps the limit of its first job as long as it lives, and gets a new one with the next life', async () => {
    const url = holding('/limit')
    const job = { url, aggr_id: 'limited' }
    const first = await service.enqueue({ ...job, aggr_limit: 1 })
    await eventually(() => assert.equal(openAt('/limit').length, 1))
    const second = await service.enqueue({ ...job, aggr_limit: 3 })
    await delay(100) // an idle worker would begin at once
    assert.equal(openAt('/limit').length, 1)
    finishAll('/limit')
    await service.receiver.callbackOf(first)
    await eventually(() => assert.equal(openAt('/limit').length, 1))
    finishAll('/limit')
    await service.receiver.callbackOf(second)
    const later = await Promise.all([3, 3, 3, 3].map((aggr_limit) => service.enqueue({ ...job, aggr_limit })))
    await eventually(() => assert.equal(openAt('/limit').length, 3))
    finishAll('/limit')
    await eventually(() => assert.equal(openAt('/limit').length, 1))
    finishAll('/limit')
    for (const id of later) await service.receiver.callbackOf(id)
  })

  it('lists what is pending, not what runs', async () => {
    const url = holding('/listed')
    const name = 'list: "ü" {x}'
    const ids = await Promise.all(
      Array.from({ length: 5 }, () => service.enqueue({ url, aggr_id: name, aggr_limit: 2 })),
    )
    await eventually(async () => {
      const answer = await service.get('/dashboard/aggregations')
      assert.deepEqual(await answer.json(), [{ name: `jobs:${name}`, size: 3 }])
    })
    for (let left = 5; left > 0; left -= 2) {
      await eventually(() => assert.equal(openAt('/listed').length, Math.min(left, 2)))
      finishAll('/listed')
    }
    for (const id of ids) await service.receiver.callbackOf(id)
    assert.deepEqual(await (await service.get('/dashboard/aggregations')).json(), [])
  })

  it('shares processor.concurrency with all others of the process, in turns', async () => {
    const urls = ['/a', '/b', '/c'].map(holding)
    const ids = await Promise.all(
      urls.flatMap((url) =>
        Array.from({ length: 6 }, () => service.enqueue({ url, aggr_id: `of ${url}`, aggr_limit: 6 })),
      ),
    )
    const total = () => ['/a', '/b', '/c'].reduce((sum, path) => sum + openAt(path).length, 0)
    await eventually(() => assert.equal(total(), 6))
    await delay(100) // long enough for a seventh, if there were one
    assert.equal(total(), 6)
    for (let left = ids.length; left > 0; left -= 6) {
      await eventually(() => assert.equal(total(), 6))
      if (left === 12) {
        const shares = ['/a', '/b', '/c'].map((path) => openAt(path).length)
        assert.ok(Math.max(...shares) <= 4, `all were pending, and got ${shares}`)
      }
      for (const path of ['/a', '/b', '/c']) finishAll(path)
    }
    for (const id of ids) await service.receiver.callbackOf(id)
  })

  const list = async (query: string) => {
    const answer = (await (await service.get(`/aggregations?${query}`)).json()) as z.infer<typeof AggregationList>
    return answer.aggregations
  }

  it('is listed while all that is left of it are jobs that failed, and is the first by failures', async () => {
    const url = origin.on('/missing', (_request, response) => void response.writeHead(404).end())
    for (let i = 0; i < 2; i++) await service.post('/download', { ...polled, url, aggr_id: 'all failed' })
    const shown = async (query: string) => (await list(query)).map(({ aggr_id, failed }) => [aggr_id, failed])
    await eventually(async () => {
      assert.deepEqual(await shown('sort=failed&count=1'), [['all failed', 2]])
      assert.deepEqual(await shown('search=ALL%20FAILED'), [['all failed', 2]])
    })
  })

  it('is shown as it was changed a moment ago, whatever the order of the list', async () => {
    for (const paused of [true, false, true]) {
      await list('sort=pending') // what many look at is remembered
      await service.send('PATCH', '/aggregations/changed', { paused })
      const found = (await list('sort=pending')).find(({ aggr_id }) => aggr_id === 'changed')
      assert.equal(found?.paused, paused)
    }
    await service.send('DELETE', '/aggregations/changed')
    assert.ok(!(await list('sort=pending')).some(({ aggr_id }) => aggr_id === 'changed'))
  })
})

const polled = { aggr_limit: 8, callback_type: 'none', max_retries: 0 }
