import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Certificates, makeCertificates } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { response, startRawOrigin } from '../support/origin.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

type Stats = Record<string, number>

const PROCESSOR = [
  'alive',
  'workers',
  'maxWorkers',
  'workerPools',
  'maxWorkerPools',
  'spawnedWorkers',
  'spawnedWorkerPools',
  'failures',
  'reaperFailures',
  'reaperSuccessfulDeletions',
  'invalidProxies',
]
const NOTIFIER = [
  'alive',
  'failedCallbacks',
  'successfulCallbacks',
  'undefinedBackendWithCallback',
  'unknownTopicOrPartition',
]

describe('GET /stats', () => {
  let service: Service
  let origin: Origin
  let certificates: Certificates

  before(async () => {
    certificates = await makeCertificates()
    origin = await startOrigin()
  })
  after(async () => {
    await origin[Symbol.asyncDispose]()
    await certificates[Symbol.asyncDispose]()
  })

  const options = {
    config: {
      processor: { max_retries: 0, stats_interval: 20, concurrency: 4 },
      notifier: { max_retries: 0, stats_interval: 20, deletion_interval: 0 },
    },
  }

  async function statsOf(role: 'processor' | 'notifier'): Promise<Stats> {
    const stats = (await (await service.get(`/stats/${role}`)).json()) as Stats
    for (const [name, value] of Object.entries(stats)) assert.ok(Number.isInteger(value), `${name}: ${value}`)
    for (const name of ['Workers', 'WorkerPools']) {
      const { [`max${name}`]: max = 0, [`spawned${name}`]: spawned = 0 } = stats
      assert.ok(max <= spawned, `max${name} ${max}, spawned${name} ${spawned}`)
    }
    return stats
  }

  /** Waits until the stats have these values. */
  const becomes = (role: 'processor' | 'notifier', expected: Stats) =>
    eventually(async () => {
      const stats = await statsOf(role)
      const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, stats[name]]))
      assert.deepEqual(seen, expected)
    })

  describe('of two instances each', () => {
    before(async () => {
      service = await startService({ ...options, roles: ['api', 'processor', 'processor', 'notifier', 'notifier'] })
    })
    after(() => service[Symbol.asyncDispose]())

    it('has every name from the start, and is a flat object of integers', async () => {
      await becomes('processor', Object.fromEntries(PROCESSOR.map((name) => [name, name === 'alive' ? 2 : 0])))
      await becomes('notifier', Object.fromEntries(NOTIFIER.map((name) => [name, name === 'alive' ? 2 : 0])))
    })

    it('sums over the live instances what runs now, what was begun, and the most at once', async () => {
      const finish: (() => void)[] = []
      const url = origin.on('/running', (_request, response) => {
        response.write('first')
        finish.push(() => response.end())
      })
      // eight at once fill both processors, whoever takes which
      const ids = await Promise.all(
        Array.from({ length: 10 }, (_, i) => service.enqueue({ url, aggr_id: `pool ${i % 2}`, aggr_limit: 5 })),
      )
      await eventually(() => assert.equal(finish.length, 8))
      await becomes('processor', { alive: 2, workers: 8, maxWorkers: 8, spawnedWorkers: 8, failures: 0 })
      const { workerPools = 0, maxWorkerPools = 0 } = await statsOf('processor')
      assert.ok(workerPools >= 2 && workerPools <= 4 && maxWorkerPools >= workerPools, `${workerPools} pools`)
      for (const end of finish.splice(0)) end()
      await eventually(() => assert.equal(finish.length, 2))
      for (const end of finish.splice(0)) end()
      for (const id of ids) await service.receiver.callbackOf(id)
      await becomes('processor', {
        workers: 0,
        workerPools: 0,
        maxWorkers: 8,
        spawnedWorkers: 10,
        'download.response.200': 10,
        reaperSuccessfulDeletions: 10,
      })
      await becomes('notifier', { alive: 2, successfulCallbacks: 10, failedCallbacks: 0 })
    })

    it('forgets an instance that stops at once, and one that was killed soon', async () => {
      const [first, second] = service.roles.filter(({ name }) => name === 'processor')
      await first?.end('SIGTERM')
      const response = await service.get('/stats/processor')
      assert.equal(((await response.json()) as Stats).alive, 1)
      await second?.end('SIGKILL')
      await eventually(async () => assert.equal((await service.get('/stats/processor')).status, 404))
      assert.equal((await service.get('/stats/notifier')).status, 200)
    })
  })

  describe('of one instance each', () => {
    beforeEach(async () => {
      service = await startService({ ...options, roles: ['start'] })
    })
    afterEach(() => service[Symbol.asyncDispose]())

    it('counts aggregations: those that have something running, and how often one got something to run', async () => {
      const finish: (() => void)[] = []
      const url = origin.on('/pools', (_request, response) => {
        response.write('first')
        finish.push(() => response.end())
      })
      const start = (aggr_id: string) => service.enqueue({ url, aggr_id, aggr_limit: 2 })
      const ids = await Promise.all(['a', 'b', 'c', 'a'].map(start))
      await eventually(() => assert.equal(finish.length, 4))
      await becomes('processor', { workers: 4, workerPools: 3, maxWorkerPools: 3, spawnedWorkerPools: 3 })
      for (const end of finish.splice(0)) end()
      for (const id of ids) await service.receiver.callbackOf(id)
      await becomes('processor', { workers: 0, workerPools: 0, maxWorkerPools: 3, spawnedWorkerPools: 3 })
      const last = await start('a')
      await becomes('processor', {
        workers: 1,
        workerPools: 1,
        maxWorkers: 4,
        maxWorkerPools: 3,
        spawnedWorkerPools: 4,
      })
      await eventually(() => assert.equal(finish.length, 1))
      for (const end of finish.splice(0)) end()
      await service.receiver.callbackOf(last)
    })

    it('counts what came of the downloads by the code of the response, or by what was wrong', async () => {
      await using untrusted = await startRawOrigin(() => response('secret'), certificates.selfSigned)
      await using cut = await startRawOrigin((socket) => void socket.end(response('half', { 'content-length': 9 })))
      const teapot = origin.on('/teapot', (_request, response) => response.writeHead(418).end())
      const page = origin.on('/page', '<!doctype html><title>x</title>')
      const jobs = [
        { url: page },
        { url: page },
        { url: `${origin.url}/absent` },
        { url: teapot },
        { url: `${untrusted.url}/` },
        { url: page, mime_type: 'image/*' },
        { url: `${cut.url}/` },
        { url: origin.on('/broken', PNG.subarray(0, 20)), extract_image_size: true },
        { url: 'http://127.0.0.1:2/' },
      ]
      for (const id of await Promise.all(jobs.map((job) => service.enqueue(job)))) await service.receiver.callbackOf(id)
      await becomes('processor', {
        spawnedWorkers: jobs.length,
        failures: 7,
        'download.response.200': 2,
        'download.response.404': 1,
        'download.response.418': 1,
        'download.response.tls': 1,
        'download.response.mime': 1,
        'download.response.body': 1,
        'download.response.image-size': 1,
        invalidProxies: 0,
      })
      const names = Object.keys(await statsOf('processor')).filter((name) => name.startsWith('download.response.'))
      assert.equal(names.length, 7)
    })

    it('counts an attempt that is retried each time', async () => {
      const url = origin.on('/busy', (_request, response) => response.writeHead(503).end())
      await service.download({ url, max_retries: 2 })
      await becomes('processor', { spawnedWorkers: 3, spawnedWorkerPools: 3, failures: 3, 'download.response.503': 3 })
    })

    it('counts deletions that did not succeed, and callbacks that failed', async () => {
      const url = origin.on('/file', 'content')
      service.receiver.answer = ({ callback: { job_id: id } }, _request, response) => {
        // somebody puts a folder with something in it where the file was: it cannot be unlinked
        const place = path.join(service.root, id.slice(0, 3), id)
        rmSync(place)
        mkdirSync(place)
        writeFileSync(path.join(place, 'x'), '')
        response.end()
        return undefined
      }
      await service.download({ url })
      await becomes('processor', { reaperFailures: 1, reaperSuccessfulDeletions: 0 })
      service.receiver.answer = () => 500
      await service.download({ url })
      await becomes('notifier', { successfulCallbacks: 1, failedCallbacks: 1 })
    })
  })
})
