import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import path from 'node:path'
import type { JobView, WhyView } from '../../src/api/schemas/job.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startService } from '../support/service.ts'

describe('looking at a job', () => {
  let service: Service
  let origin: Origin
  before(async () => {
    origin = await startOrigin()
    // each role in a process of its own: what the API is asked to cancel runs in another one
    service = await startService({
      config: { processor: { max_retries: 1, lease_ms: 3000 }, notifier: { max_retries: 0, deletion_interval: 60 } },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  const look = async (id: string) => (await (await service.get(`/jobs/${id}`)).json()) as JobView
  const whyOf = async (id: string) => (await (await service.get(`/jobs/${id}/why`)).json()) as WhyView

  it('shows a running one with the bytes that have come, and one that waits for it', async () => {
    const open: ServerResponse[] = []
    const url = origin.on('/slow', (_request, response) => {
      response.write('x'.repeat(5000))
      open.push(response)
    })
    const job = { url: `${url}?token=secret`, aggr_id: 'slow', aggr_limit: 1 }
    const id = await service.enqueue(job)
    await eventually(async () => assert.equal((await look(id)).received_bytes, 5000))
    const running = await look(id)
    assert.deepEqual([running.state, running.aggr_id, running.attempts], ['running', 'slow', 0])
    assert.equal(running.url, `${url}?…`)
    assert.ok(Math.abs(Date.parse(running.created_at) - Date.now()) < 20_000)
    assert.ok(running.lease_ends_at)
    assert.deepEqual(running.callback, {
      type: 'http',
      receiver: new URL(service.receiver.url).origin,
      attempts: 0,
      error: '',
    })
    assert.equal((await whyOf(id)).code, 'running')

    const second = await service.enqueue(job)
    const response = await service.get(`/jobs/${second}`)
    assert.equal(response.headers.get('retry-after'), '2')
    assert.equal(((await response.json()) as JobView).state, 'pending')
    const why = await whyOf(second)
    assert.deepEqual([why.code, why.waiting?.running_jobs], ['full', [id]])
    open[0]?.end('y')
    await service.receiver.callbackOf(id)
    await eventually(() => assert.equal(open.length, 2))
    open[1]?.end('y')
    await service.receiver.callbackOf(second)
    await eventually(async () => assert.equal((await look(id)).state, 'delivered'))
    const delivered = await look(id)
    assert.deepEqual(delivered.file, {
      storage: delivered.file?.storage,
      bucket: null,
      path: `${id.slice(0, 3)}/${id}`,
      url: `http://files.test/base/${id.slice(0, 3)}/${id}`,
    })
    for (const ended of [delivered.downloaded, delivered.delivered]) {
      assert.ok(ended && Math.abs(Date.parse(ended.at) - Date.now()) < 20_000)
      assert.ok(ended.duration_ms >= 0 && ended.duration_ms < 20_000)
    }
    assert.ok(Date.parse(delivered.downloaded?.at ?? '') <= Date.parse(delivered.delivered?.at ?? ''))
    assert.deepEqual([delivered.result?.size, delivered.result?.success, delivered.url], [5001, true, null])
  })

  it('remembers when attempts failed, and why', async () => {
    const url = origin.on('/broken', (_request, response) => void response.writeHead(503).end())
    service.receiver.answer = () => 500
    const id = await service.enqueue({ url })
    await eventually(async () => assert.equal((await look(id)).state, 'callback_failed'))
    service.receiver.answer = () => 200
    const { failures, attempts, downloaded, delivered, callback, result, file, resting_since } = await look(id)
    assert.deepEqual(
      failures.map(({ step, code }) => [step, code]),
      [
        ['download', 'http.503'],
        ['download', 'http.503'],
        ['callback', 'receiver.status'],
      ],
    )
    for (const { at, duration_ms } of failures) {
      assert.ok(Math.abs(Date.parse(at) - Date.now()) < 20_000)
      assert.ok(duration_ms >= 0 && duration_ms < 10_000)
    }
    assert.deepEqual([downloaded, delivered], [null, null])
    assert.deepEqual([attempts, callback?.attempts, result?.error_code, file], [2, 1, 'http.503', null])
    assert.match(callback?.error ?? '', /500/)
    assert.ok(resting_since)
    const response = await service.get(`/jobs/${id}`)
    assert.equal(response.headers.get('retry-after'), null)
    assert.equal((await whyOf(id)).code, 'finished')
  })

  describe('that is cancelled', () => {
    const cancel = async (id: string) => {
      const response = await service.send('DELETE', `/jobs/${id}`)
      return [response.status, ((await response.json()) as { state?: string }).state]
    }

    it('stops its download at once, in the other process that runs it, and is not called back', async () => {
      const url = origin.on('/endless', (_request, response) => void response.write('x'))
      const id = await service.enqueue({ url, aggr_id: 'endless', aggr_limit: 1 })
      const waiting = await service.enqueue({ url, aggr_id: 'endless', aggr_limit: 1 })
      await eventually(() => assert.equal(origin.open, 1))
      assert.deepEqual(await cancel(waiting), [200, 'cancelled'])
      assert.deepEqual(await cancel(id), [202, 'cancelling'])
      await eventually(() => assert.equal(origin.open, 0), 1000)
      await eventually(async () => assert.equal((await look(id)).state, 'cancelled'))
      assert.deepEqual(await cancel(id), [200, 'cancelled'])
      assert.equal((await look(waiting)).state, 'cancelled')
      const ids = service.receiver.received.map(({ callback }) => callback.job_id)
      assert.ok(!ids.includes(id) && !ids.includes(waiting))
    })

    it('loses its file when nobody has been called back', async () => {
      service.receiver.answer = () => 500
      const id = await service.enqueue({ url: origin.on('/file', 'content') })
      await eventually(async () => assert.equal((await look(id)).state, 'callback_failed'))
      service.receiver.answer = () => 200
      const file = path.join(service.root, id.slice(0, 3), id)
      assert.ok(existsSync(file))
      assert.deepEqual(await cancel(id), [202, 'expired'])
      await eventually(() => assert.equal(existsSync(file), false))
      await eventually(async () => assert.equal((await service.get(`/jobs/${id}`)).status, 404))
    })

    it('loses its file before its time when it was delivered', async () => {
      const { job_id } = await service.download({ url: origin.on('/delivered', 'content') })
      await eventually(async () => assert.equal((await look(job_id)).state, 'delivered'))
      assert.ok(Date.parse((await look(job_id)).starts_at ?? '') > Date.now() + 3_000_000)
      const file = path.join(service.root, job_id.slice(0, 3), job_id)
      assert.ok(existsSync(file))
      assert.deepEqual(await cancel(job_id), [202, 'expired'])
      await eventually(async () => assert.equal((await service.get(`/jobs/${job_id}`)).status, 404), 2000)
      assert.ok(!existsSync(file))
      assert.deepEqual(await cancel(job_id), [404, undefined])
    })

    it('keeps its file while it is to be called back, if only what is over shall go', async () => {
      let refuse = () => {}
      service.receiver.answer = (_, _request, response) => {
        refuse = () => void response.writeHead(500).end()
        return undefined
      }
      const id = await service.enqueue({ url: origin.on('/awaited', 'content') })
      await eventually(async () => assert.equal((await look(id)).state, 'callback_running'))
      const problem = await service.send('DELETE', `/jobs/${id}?over=1`)
      assert.equal(problem.status, 409)
      assert.match(((await problem.json()) as { detail: string }).detail, /is not over/)
      service.receiver.answer = () => 200
      await eventually(() => refuse())
      await eventually(async () => assert.equal((await look(id)).state, 'callback_failed'))
      assert.deepEqual(await cancel(`${id}?over=1`), [409, undefined])
      await service.post(`/retry/${id}`)
      await eventually(async () => assert.equal((await look(id)).state, 'delivered'))
      assert.ok(existsSync(path.join(service.root, id.slice(0, 3), id)))
      assert.deepEqual(await cancel(`${id}?over=1`), [202, 'expired'])
      assert.deepEqual(await cancel(`${id}?over=yes`), [400, undefined])
      assert.deepEqual(await cancel(`${id}?ovr=1`), [400, undefined])
    })
  })

  it('rests when nobody is to be called, with its result and its file', async () => {
    const url = origin.on('/polled', 'content')
    const request = { aggr_id: 'polled', aggr_limit: 1, url, callback_type: 'none' }
    const { id } = (await (await service.post('/download', request)).json()) as { id: string }
    await eventually(async () => assert.equal((await look(id)).state, 'done'))
    const { result, file, callback } = await look(id)
    assert.deepEqual([result?.size, file?.path, callback], [7, `${id.slice(0, 3)}/${id}`, null])
  })

  it('is downloaded anew when it failed, nobody was to be called, and somebody retries it', async () => {
    let works = false
    const url = origin.on('/mended', (_request, response) => void response.writeHead(works ? 200 : 404).end('content'))
    const request = { aggr_id: 'polled', aggr_limit: 1, url, callback_type: 'none' }
    const { id } = (await (await service.post('/download', request)).json()) as { id: string }
    await eventually(async () => assert.equal((await look(id)).state, 'failed'))
    works = true
    const retried = await service.post(`/retry/${id}`)
    assert.deepEqual([retried.status, await retried.json()], [201, { id }])
    await eventually(async () => assert.equal((await look(id)).state, 'done'))
    const { attempts, failures, downloaded, result } = await look(id)
    assert.deepEqual([attempts, failures.map(({ code }) => code), result?.success], [1, ['http.404'], true])
    assert.ok(Date.parse(downloaded?.at ?? '') >= Date.parse(failures[0]?.at ?? ''))
    assert.equal((await service.post(`/retry/${id}`)).status, 409)
  })

  it('answers 404 for one that there is not', async () => {
    for (const path of ['/jobs/AAAAAAAAAAAAAA', '/jobs/AAAAAAAAAAAAAA/why', '/jobs/x', '/jobs/%00/why']) {
      assert.equal((await service.get(path)).status, 404, path)
    }
  })
})
