import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import type { z } from 'zod'
import type { AggregationView } from '../../src/api/schemas/aggregation.ts'
import type { JobView } from '../../src/api/schemas/job.ts'
import type { JobList as JobListSchema } from '../../src/api/schemas/list.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startService } from '../support/service.ts'

type JobList = z.infer<typeof JobListSchema>

const NAME = 'a/b "ü" % {x}'

describe('operating aggregations', () => {
  let service: Service
  let origin: Origin
  let open: ServerResponse[] = []
  before(async () => {
    origin = await startOrigin()
    service = await startService({ roles: ['start'], config: { processor: { max_retries: 0 } } })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })
  const holding = () => {
    open = []
    return origin.on('/held', (_request, response) => {
      response.write('first')
      open.push(response)
    })
  }
  const finishAll = () => {
    for (const response of open.splice(0)) response.end()
  }
  const of = (name: string) => `/aggregations/${encodeURIComponent(name)}`
  const send = async (method: string, path: string, body?: unknown) => {
    const response = await service.send(method, path, body)
    return { status: response.status, body: (await response.json()) as AggregationView & Record<string, unknown> }
  }
  const look = async (name: string) => (await send('GET', of(name))).body
  const enqueueMany = (aggr_id: string, count: number, url = holding()) =>
    Promise.all(Array.from({ length: count }, () => service.enqueue({ url, aggr_id, aggr_limit: 2 })))

  it('shows what runs and what waits, and since when', async () => {
    await enqueueMany(NAME, 5)
    await eventually(() => assert.equal(open.length, 2))
    const { aggr_id, limit, running, pending, waiting_since, paused, set } = await look(NAME)
    assert.deepEqual(
      { aggr_id, limit, running, pending, paused, set },
      {
        aggr_id: NAME,
        limit: 2,
        running: 2,
        pending: 3,
        paused: false,
        set: {},
      },
    )
    assert.ok(Math.abs(Date.parse(waiting_since ?? '') - Date.now()) < 10_000)
  })

  it('changes the limit at once, and takes it back', async () => {
    assert.deepEqual((await send('PATCH', of(NAME), { limit: 4 })).body.set, { limit: 4 })
    await eventually(() => assert.equal(open.length, 4))
    const { body } = await send('PATCH', of(NAME), { limit: null, rate: 0.5 })
    assert.deepEqual([body.limit, body.rate, body.set], [2, 0.5, { rate: 0.5, burst: 1 }])
    assert.deepEqual((await send('PATCH', of(NAME), { rate: null })).body.set, {})
  })

  it('pauses and resumes, without touching what else is set', async () => {
    await send('PATCH', of(NAME), { limit: 3 })
    const paused = await send('PATCH', of(NAME), { paused: true })
    assert.deepEqual(paused.body.set, { limit: 3, paused: true })
    finishAll()
    await eventually(async () => assert.equal((await look(NAME)).running, 0))
    assert.equal((await look(NAME)).pending, 1)
    await send('PATCH', of(NAME), { paused: null })
    await eventually(() => assert.equal(open.length, 1))
    finishAll()
    await eventually(async () => assert.equal((await look(NAME)).running, 0))
    assert.deepEqual((await look(NAME)).set, { limit: 3 }, 'it outlives its jobs')
    await send('PATCH', of(NAME), { limit: null })
    assert.equal((await send('GET', of(NAME))).status, 404)
  })

  it('refuses what cannot be set, and names it', async () => {
    for (const [body, detail] of [
      [{ limit: 0 }, /^limit: must be an integer of at least 1/],
      [{ burst: 0 }, /^burst: must be an integer of at least 1/],
      [{ rate: -1 }, /^rate: must be a number above 0/],
      [{ rate: 1e-9 }, /^rate: must be at least 0.000001/],
      [{ paused: 'yes' }, /^paused: must be true or false/],
      [{ other: 1 }, /other/],
      [{}, /nothing to change/],
      [[], /must be a JSON object/],
    ] as const) {
      const { status, body: problem } = await send('PATCH', of(NAME), body)
      assert.equal(status, 400, JSON.stringify(body))
      assert.match(String(problem.detail), detail)
    }
  })

  it('lists them: by a part of their name, in an order, page by page', async () => {
    const url = holding()
    for (const [name, count] of [
      ['list-a', 3],
      ['list-B', 5],
      ['list-c', 4],
    ] as const) {
      await enqueueMany(name, count, url)
    }
    await eventually(() => assert.equal(open.length, 6))
    const list = async (query: string) => {
      const { body } = await send('GET', `/aggregations?search=LIST-&${query}`)
      const { aggregations, total } = body as unknown as { aggregations: AggregationView[]; total: number }
      return [aggregations.map(({ aggr_id }) => aggr_id), total]
    }
    assert.deepEqual(await list(''), [['list-B', 'list-a', 'list-c'], 3])
    assert.deepEqual(await list('sort=pending'), [['list-B', 'list-c', 'list-a'], 3])
    assert.deepEqual(await list('sort=pending&offset=1&count=1'), [['list-c'], 3])
    for (const query of ['sort=x', 'count=0', 'count=1&count=2', 'other=1']) {
      const { status, body } = await send('GET', `/aggregations?${query}`)
      assert.equal(status, 400, query)
      assert.match(String(body.detail), new RegExp(`^${query.split('=')[0]}: `))
    }
  })

  it('drains one: what runs comes to its end, what waits is cancelled', async () => {
    const before = service.receiver.received.length
    const { status, body } = await send('DELETE', of('list-B'))
    assert.deepEqual([status, body], [200, { aggr_id: 'list-B', cancelled: 3, running: 2, remaining: 0 }])
    finishAll()
    await service.receiver.count(before + 6)
    await eventually(async () => assert.equal((await send('GET', of('list-B'))).status, 404))
  })

  it('drops one: what runs is stopped, too', async () => {
    const ids = await enqueueMany('dropped', 3)
    await eventually(() => assert.equal(open.length, 2))
    const { body } = await send('DELETE', `${of('dropped')}?mode=drop`)
    assert.deepEqual([body.cancelled, body.running], [1, 2])
    await eventually(async () => {
      for (const id of ids)
        assert.equal(((await (await service.get(`/jobs/${id}`)).json()) as JobView).state, 'cancelled')
    })
    assert.equal((await send('DELETE', of('dropped'))).status, 404)
  })
})

describe('finding jobs', () => {
  let service: Service
  let origin: Origin
  let works = true
  before(async () => {
    origin = await startOrigin()
    service = await startService({
      roles: ['start'],
      config: { processor: { max_retries: 0 }, notifier: { max_retries: 0 } },
    })
    service.receiver.answer = () => (works ? 200 : 500)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })
  const list = async (query: string) => {
    const response = await service.get(`/jobs?${query}`)
    return { status: response.status, body: (await response.json()) as JobList & { detail: string } }
  }
  const idsOf = async (query: string) => (await list(query)).body.jobs.map(({ id }) => id).sort()

  it('tells those that failed by aggregation, code, receiver and time', async () => {
    works = false
    const begin = new Date(Date.now() - 60_000).toISOString()
    const ok = origin.on('/ok', 'content')
    const [a, b] = await Promise.all([
      service.enqueue({ url: ok, aggr_id: 'a' }),
      service.enqueue({ url: `${origin.url}/missing`, aggr_id: 'b' }),
    ])
    const polled = (await (
      await service.post('/download', {
        aggr_id: 'b',
        aggr_limit: 1,
        url: `${origin.url}/missing?secret`,
        callback_type: 'none',
      })
    ).json()) as { id: string }
    await eventually(async () => assert.deepEqual(await idsOf('state=callback_failed'), [a, b].sort()))
    await eventually(async () => assert.deepEqual(await idsOf('state=failed&code=http.404&aggr_id=b'), [polled.id]))
    assert.deepEqual(await idsOf('state=failed&aggr_id=a'), [])
    const receiver = encodeURIComponent(new URL(service.receiver.url).origin)
    assert.deepEqual(await idsOf(`state=callback_failed&receiver=${receiver}&code=receiver.status&aggr_id=a`), [a])
    assert.deepEqual(await idsOf(`state=callback_failed&since=${begin}`), [a, b].sort())
    assert.deepEqual(await idsOf(`state=callback_failed&until=${begin}`), [])
    const [job] = (await list('state=failed')).body.jobs
    const error = 'Received Status code 404 Not Found'
    assert.deepEqual(job, {
      id: polled.id,
      state: 'failed',
      aggr_id: 'b',
      url: `${origin.url}/missing?…`,
      attempts: 1,
      code: 'http.404',
      error,
      at: job?.at,
    })
  })

  it('goes on with the next page', async () => {
    const first = (await list('state=callback_failed&count=1')).body
    const second = (await list(`state=callback_failed&count=1&cursor=${first.next}`)).body
    assert.ok(first.next)
    assert.notEqual(first.jobs[0]?.id, second.jobs[0]?.id)
    const last = second.next ? (await list(`state=callback_failed&cursor=${second.next}`)).body : second
    assert.equal(last.next, null)
  })

  it('refuses a filter that would not filter', async () => {
    for (const [query, detail] of [
      ['', /^state: is required/],
      ['state=delivered', /^state: /],
      ['state=pending&code=http.404', /^code: does not go with state pending/],
      ['state=callback_pending&aggr_id=a', /^aggr_id: /],
      ['state=done&receiver=x', /^receiver: /],
      ['state=done&since=yesterday', /^since: /],
      ['state=done&cursor=nonsense', /^cursor: /],
      ['state=done&aggr=a', /^aggr: /],
    ] as const) {
      const { status, body } = await list(query)
      assert.equal(status, 400, query)
      assert.match(body.detail, detail)
    }
  })

  it('retries all that have something in common', async () => {
    works = true
    const count = service.receiver.received.length
    const retry = async (filter: unknown) => (await service.post('/retry', filter)).json()
    assert.deepEqual(await retry({ aggr_id: 'other' }), { retried: 0, more: false, last_starts_at: null })
    const { retried, more } = (await retry({ code: 'receiver.status', rate: 1000 })) as {
      retried: number
      more: boolean
    }
    assert.deepEqual([retried, more], [2, false])
    await service.receiver.count(count + 2)
    assert.deepEqual(await idsOf('state=callback_failed'), [])
    origin.on('/missing', 'found')
    assert.equal(((await retry({ state: 'failed', rate: 1000 })) as { retried: number }).retried, 1)
    await eventually(async () => assert.equal((await idsOf('state=done')).length, 1))
    assert.equal((await service.post('/retry', { rate: 0 })).status, 400)
    assert.equal((await service.post('/retry', { state: 'done' })).status, 400)
  })

  it('retries those of a time, and leaves those before and after it', async () => {
    works = false
    const ids: string[] = []
    for (const aggr_id of ['early', 'middle', 'late']) {
      const id = await service.enqueue({ url: origin.on('/ok', 'content'), aggr_id })
      await eventually(async () => assert.equal((await idsOf('state=callback_failed')).includes(id), true))
      ids.push(id)
    }
    const [late, middle, early] = (await list('state=callback_failed')).body.jobs
    assert.deepEqual([early?.id, middle?.id, late?.id], ids)
    works = true
    const retry = async (filter: unknown) =>
      (await (await service.post('/retry', filter)).json()) as { retried: number }
    const later = new Date(Date.parse(late?.at ?? '') + 1).toISOString()
    const earlier = new Date(Date.parse(early?.at ?? '') - 1).toISOString()
    assert.equal((await retry({ since: later })).retried, 0)
    assert.equal((await retry({ until: earlier })).retried, 0)
    assert.equal((await retry({ since: middle?.at, until: middle?.at, rate: 1000 })).retried, 1)
    assert.deepEqual(await idsOf('state=callback_failed'), [early?.id, late?.id].sort())
    assert.equal((await retry({ since: late?.at, rate: 1000 })).retried, 1)
    assert.deepEqual(await idsOf('state=callback_failed'), [early?.id])
    assert.equal((await retry({ until: early?.at, rate: 1000 })).retried, 1)
  })
})
