import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startService } from '../support/service.ts'
import { gate } from '../support/worker.ts'

const BACKOFF_MS = 200
/** Jitter takes a tenth off at most; timers and the round trips only add. */
const SHORTEST = 0.9

describe('the retries of a download', () => {
  let service: Service
  let origin: Origin
  /** When each path was asked for, by `performance.now()`. */
  const asked = new Map<string, number[]>()

  before(async () => {
    origin = await startOrigin()
    const processor = { max_retries: 1, retry_backoff_ms: BACKOFF_MS }
    service = await startService({ roles: ['start'], config: { processor } })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  function at(path: string): number[] {
    const times = asked.get(path) ?? []
    asked.set(path, times)
    return times
  }

  /** Answers the first `failures` requests by `fail`, and then with content. */
  function failing(path: string, failures: number, fail: (response: ServerResponse) => void): string {
    return origin.on(path, (_request, response) => {
      at(path).push(performance.now())
      if (at(path).length <= failures) fail(response)
      else response.end('content')
    })
  }
  const unavailable = (response: ServerResponse) => void response.writeHead(503).end()

  it('are as many as the configuration says, where the job says nothing', async () => {
    const { success, response_code } = await service.download({ url: failing('/configured', 9, unavailable) })
    assert.deepEqual([success, response_code, at('/configured').length], [false, 503, 2])
  })

  it("are as many as the job's max_retries says, also none", async () => {
    for (const max_retries of [0, 2]) {
      const path = `/own/${max_retries}`
      await service.download({ url: failing(path, 9, unavailable), max_retries })
      assert.equal(at(path).length, max_retries + 1)
    }
  })

  it('end with the first success, and only that is called back', async () => {
    const callback = await service.download({ url: failing('/flaky', 2, unavailable), max_retries: 5 })
    const { success, error, error_code, response_code, job_id } = callback
    assert.deepEqual([success, error, error_code, response_code], [true, '', '', 200])
    assert.equal(at('/flaky').length, 3)
    assert.equal(service.receiver.received.filter(({ callback }) => callback.job_id === job_id).length, 1)
  })

  it('wait longer each time: the nth for n times the backoff', async () => {
    await service.download({ url: failing('/spaced', 3, unavailable), max_retries: 3 })
    const times = at('/spaced')
    for (let n = 1; n <= 3; n++) {
      const gap = (times[n] ?? 0) - (times[n - 1] ?? 0)
      assert.ok(
        gap >= n * BACKOFF_MS * SHORTEST && gap < (n + 1) * BACKOFF_MS * 1.1 + 150,
        `retry ${n} after ${gap} ms`,
      )
    }
  })

  it('wait alone: the rest of the aggregation goes on', async () => {
    const group = { aggr_id: 'one at a time', aggr_limit: 1 }
    const failed = await service.enqueue({ ...group, url: failing('/waits', 1, unavailable) })
    const others = Array.from({ length: 3 }, (_, i) =>
      service.enqueue({ ...group, url: failing(`/goes-on/${i}`, 0, unavailable) }),
    )
    for (const id of await Promise.all(others)) await service.receiver.callbackOf(id)
    const order = [...asked].filter(([path]) => path.startsWith('/goes-on')).map(([, [time = 0]]) => time)
    await service.receiver.callbackOf(failed)
    const [first = 0, retry = 0] = at('/waits')
    assert.ok(first < Math.min(...order) && Math.max(...order) < retry, `${order} between ${first} and ${retry}`)
  })

  describe('after Retry-After', () => {
    for (const [what, status, value, atLeastMs] of [
      ['seconds', 429, () => '1', 1000],
      ['a date', 503, () => new Date(Date.now() + 2000).toUTCString(), 900],
    ] as const) {
      it(`in ${what}: hold the host in this aggregation until then, and in no other; no attempt is lost`, async () => {
        const group = { aggr_id: `held ${what}`, aggr_limit: 1, max_retries: 0 }
        const url = failing(`/busy/${status}`, 1, (response) => {
          response.setHeader('retry-after', value())
          response.writeHead(status).end()
        })
        const held = await service.enqueue({ ...group, url })
        const behind = await service.enqueue({ ...group, url: failing(`/behind/${status}`, 0, unavailable) })
        await service.role('start').logged(({ msg, job_id }) => msg === 'download put off' && job_id === held)
        await eventually(async () => {
          const job = (await (await service.get(`/jobs/${held}`)).json()) as Record<string, unknown>
          assert.deepEqual([job.state, job.attempts, job.put_off], ['pending', 0, 1])
        })
        assert.equal((await service.download({ url: failing(`/free/${status}`, 0, unavailable) })).success, true)
        for (const id of [held, behind]) assert.equal((await service.receiver.callbackOf(id)).success, true)
        const [first = 0, retry = 0] = at(`/busy/${status}`)
        assert.ok(retry - first >= atLeastMs, `retried after ${retry - first} ms`)
        assert.ok((at(`/behind/${status}`)[0] ?? 0) - first >= atLeastMs, 'the job behind it did not wait')
        assert.ok((at(`/free/${status}`)[0] ?? 0) - first < atLeastMs, 'another aggregation waited')
      })
    }

    it('hold the host also when there is no retry left', async () => {
      const group = { aggr_id: 'held at last', aggr_limit: 1 }
      const both = gate()
      const busy = (response: ServerResponse) => void response.writeHead(500, { 'retry-after': '1' }).end()
      const url = failing('/busy/at-last', 9, (response) => void both.opened.then(() => busy(response)))
      const behind = failing('/behind/at-last', 0, unavailable)
      const ids = [
        await service.enqueue({ ...group, url, max_retries: 0 }),
        await service.enqueue({ ...group, url: behind }),
      ]
      both.open()
      const results = await Promise.all(ids.map((id) => service.receiver.callbackOf(id)))
      assert.deepEqual(
        results.map(({ success }) => success),
        [false, true],
      )
      const waited = (at('/behind/at-last')[0] ?? 0) - (at('/busy/at-last')[0] ?? 0)
      assert.ok(waited >= 1000, `the job behind it waited ${waited} ms`)
    })

    it('of the host of a redirect: hold back the job, and not the host that led there', async () => {
      await using busy = await startOrigin()
      const location = busy.on('/', (_request, response) => response.writeHead(503, { 'retry-after': '3600' }).end())
      const url = origin.on('/led/away', (_request, response) => response.writeHead(302, { location }).end())
      const group = { aggr_id: 'led away', aggr_limit: 1 }
      const held = await service.enqueue({ ...group, url })
      await service.role('start').logged(({ msg, job_id }) => msg === 'download put off' && job_id === held)
      assert.equal((await service.download({ ...group, url: failing('/led/nowhere', 0, unavailable) })).success, true)
      const job = (await (await service.get(`/jobs/${held}`)).json()) as { state: string; starts_at: string }
      assert.equal(job.state, 'pending')
      assert.ok(Date.parse(job.starts_at) > Date.now() + 3_000_000, job.starts_at)
    })

    it('are none when there are none left, or the failure is for good', async () => {
      for (const [status, max_retries] of [
        [500, 0],
        [404, 3],
      ] as const) {
        const url = failing(`/for-good/${status}`, 9, (response) => {
          response.writeHead(status, { 'retry-after': '3600' }).end()
        })
        const { response_code } = await service.download({ aggr_id: `for good ${status}`, url, max_retries })
        assert.deepEqual([response_code, at(`/for-good/${status}`).length], [status, 1])
      }
    })
  })
})
