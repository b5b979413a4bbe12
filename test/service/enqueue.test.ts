import assert from 'node:assert/strict'
import type { JobView, WhyView } from '../../src/api/schemas/job.ts'
import { eventually } from '../support/eventually.ts'
import { type Service, startService } from '../support/service.ts'

const job = {
  aggr_id: 'batch',
  aggr_limit: 8,
  url: 'https://origin.test/image.png',
  callback_type: 'http',
  callback_dst: 'https://callback.test/',
}

type Answer = { id?: string; error?: { status: number; detail: string } }

describe('enqueueing', () => {
  let service: Service
  before(async () => {
    const api = { max_body_bytes: 10_000, max_batch_bytes: 4_000_000 }
    service = await startService({ roles: ['api'], config: { api } })
  })
  after(() => service[Symbol.asyncDispose]())

  const accepted = async () =>
    Number(/^downloader_jobs_accepted_total (\d+)$/m.exec(await (await service.get('/metrics')).text())?.[1])

  describe('many at once', () => {
    const batch = async (body: unknown, headers = {}) => {
      const response = await service.post('/downloads', body, headers)
      assert.equal(response.status, 200)
      return (await response.json()) as Answer[]
    }

    it('answers each in its place: an id, or what is wrong with it', async () => {
      const before = await accepted()
      const answers = await batch([job, { ...job, url: 'ftp://x' }, 5, { ...job, extra: 'x'.repeat(10_000) }, job])
      const [first, second, third, fourth, fifth] = answers
      assert.match(first?.id ?? '', /^[\w-]{14}$/)
      assert.match(fifth?.id ?? '', /^[\w-]{14}$/)
      assert.deepEqual([second?.error?.status, third?.error?.status, fourth?.error?.status], [400, 400, 413])
      assert.match(second?.error?.detail ?? '', /^url: must be/)
      assert.equal(await accepted(), before + 2)
      assert.equal(await service.redis.cli('EXISTS', `{downloader}:request:${first?.id}`), '1')
    })

    it('takes JSON lines, with empty ones between them', async () => {
      const line = JSON.stringify(job)
      const answers = await batch(`${line}\n\r\n{"a":\r\n${line}\n`, { 'content-type': 'application/x-ndjson' })
      assert.deepEqual(
        answers.map(({ id, error }) => (id ? 'id' : error?.detail.replace(/:.*/, ''))),
        ['id', 'the line is not JSON', 'id'],
      )
    })

    it('takes ten thousand, in few round trips, and no more', async () => {
      const before = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await service.redis.cli('INFO', 'commandstats'))?.[1])
      const answers = await batch(Array.from({ length: 10_000 }, () => job))
      assert.equal(new Set(answers.map(({ id }) => id)).size, 10_000)
      const after = Number(/cmdstat_evalsha:calls=(\d+)/.exec(await service.redis.cli('INFO', 'commandstats'))?.[1])
      assert.ok(after - before <= 41, `${after - before} round trips`)
      const tooMany = await service.post('/downloads', `${JSON.stringify({})}\n`.repeat(10_001))
      assert.equal(tooMany.status, 413)
    })

    it('refuses what is neither, and what is too large', async () => {
      for (const body of ['', ' \n', '[]', '[1']) {
        assert.equal((await service.post('/downloads', body)).status, 400, body)
      }
      // the answer may come while the body is sent, and then the connection ends: fetch may hear of the end first
      await eventually(async () => assert.equal((await service.post('/downloads', 'x'.repeat(4_000_001))).status, 413))
    })

    it('accepts the same batch once under one Idempotency-Key', async () => {
      const headers = { 'idempotency-key': 'batch-1' }
      const jobs = [job, job, { ...job, url: 'https://origin.test/2' }]
      const first = await batch(jobs, headers)
      assert.equal(new Set(first.map(({ id }) => id)).size, 3)
      assert.deepEqual(await batch(jobs, headers), first)
      const [same, same2, other] = await batch([job, job, job], headers)
      assert.deepEqual([same, same2], first.slice(0, 2))
      assert.equal(other?.error?.status, 422)
    })
  })

  describe('with an Idempotency-Key', () => {
    it('makes one job of a thousand equal requests that come at once', async () => {
      const before = await accepted()
      const headers = { 'idempotency-key': '"8e03978e-40d5-43dd-bc93-6894a57f9324"' }
      const answers = await Promise.all(
        Array.from({ length: 1000 }, async () => {
          const response = await service.post('/download', job, headers)
          assert.equal(response.status, 201)
          return ((await response.json()) as { id: string }).id
        }),
      )
      assert.equal(new Set(answers).size, 1)
      assert.equal(await accepted(), before + 1)
    })

    it('refuses another body with 422, and what is no key with 400', async () => {
      const headers = { 'idempotency-key': 'key-2' }
      assert.equal((await service.post('/download', job, headers)).status, 201)
      const response = await service.post('/download', { ...job, aggr_id: 'other' }, headers)
      assert.equal(response.status, 422)
      assert.match(((await response.json()) as { detail: string }).detail, /^Idempotency-Key:/)
      for (const key of ['', 'a b', 'x'.repeat(256)]) {
        assert.equal((await service.post('/download', job, { 'idempotency-key': key })).status, 400, key)
      }
    })
  })

  it('takes a job that is only looked at, and refuses it a destination', async () => {
    const { callback_dst: _, ...polled } = { ...job, callback_type: 'none' }
    assert.equal((await service.post('/download', polled)).status, 201)
    const response = await service.post('/download', { ...job, callback_type: 'none' })
    assert.equal(response.status, 400)
    assert.match(((await response.json()) as { detail: string }).detail, /^callback_dst:/)
  })

  it('takes a priority and a time to start, and says so', async () => {
    const not_before = new Date(Date.now() + 3_600_000).toISOString()
    const id = await service.enqueue({ ...job, not_before, priority: 3 })
    const response = await service.get(`/jobs/${id}`)
    const view = (await response.json()) as JobView
    assert.equal(view.starts_at, not_before)
    assert.ok(Math.abs(Date.parse(view.created_at) - Date.now()) < 10_000)
    assert.ok(Number(response.headers.get('retry-after')) > 3500)
    const why = (await (await service.get(`/jobs/${id}/why`)).json()) as WhyView
    assert.equal(why.code, 'no_worker')
    assert.deepEqual(
      why.also.map(({ code }) => code),
      ['not_before', 'behind'],
    )
    for (const wrong of [
      { not_before: 'tomorrow' },
      { not_before: '2999-01-01T00:00:00Z' },
      { priority: 10 },
      { priority: -1 },
    ]) {
      const answer = await service.post('/download', { ...job, ...wrong })
      assert.equal(answer.status, 400)
      assert.match(((await answer.json()) as { detail: string }).detail, new RegExp(`^${Object.keys(wrong)[0]}:`))
    }
  })

  it('answers 503 with Retry-After while too many jobs are queued', async () => {
    await using small = await startService({ roles: ['api'], config: { api: { max_queued_jobs: 2 } } })
    const answers = (await (await small.post('/downloads', [job, job, job])).json()) as Answer[]
    assert.deepEqual(
      answers.map(({ id, error }) => (id ? 201 : error?.status)),
      [201, 201, 503],
    )
    const response = await small.post('/download', job)
    assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '10'])
  })

  it('answers each of a batch with 503 while Redis takes nothing', async () => {
    await using other = await startService({ roles: ['api'] })
    await other.redis.cli('CONFIG', 'SET', 'maxmemory', '1')
    await eventually(async () => {
      const answers = (await (await other.post('/downloads', [job, job])).json()) as Answer[]
      assert.deepEqual(
        answers.map(({ error }) => error?.status),
        [503, 503],
      )
    })
  })
})
