import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { RequestListener, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { Overview } from '../../src/api/schemas/overview.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type S3Server, startS3Server } from '../support/s3-server.ts'
import { type Service, startService } from '../support/service.ts'
import { serve } from '../support/versions.ts'

const LIMIT = 4

/** What is stored takes much longer to be stored than to be fetched. */
describe('the limit of an aggregation, while files are stored', () => {
  let origin: Origin
  let s3: S3Server
  /** Uploads that wait, and the most that ever did. */
  let storing: { now: number; most: number; release: (() => void)[] }

  beforeEach(async () => {
    origin = await startOrigin()
    s3 = await startS3Server()
    storing = { now: 0, most: 0, release: [] }
  })
  afterEach(async () => {
    await s3[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  /**
   * @param takes when an upload is answered
   * @param processor further settings of the processor
   */
  function start(roles: string[], takes: () => Promise<unknown>, processor: object = {}): Promise<Service> {
    s3.interfere = (_request, response) => {
      storing.most = Math.max(storing.most, ++storing.now)
      void takes().then(() => {
        storing.now--
        response.writeHead(200, { etag: '"stored"' }).end()
      })
      return true
    }
    const filestorage = {
      type: 's3',
      bucket: 'files',
      region: 'eu-west-1',
      endpoint: s3.endpoint,
      force_path_style: true,
    }
    return startService({
      roles,
      env: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' },
      config: { processor: { filestorage, stats_interval: 20, ...processor } },
    })
  }

  const enqueue = (service: Service, urls: string[]) =>
    Promise.all(
      urls.map((url, i) =>
        service.enqueue({
          url,
          aggr_limit: LIMIT,
          ...(url.endsWith('type') && { mime_type: 'image/*' }),
          extra: `${i}`,
        }),
      ),
    )

  it('is never passed by what the origin has open, however its answers end', async () => {
    /** Answers that are held back until so many are open at once as there may be. */
    const full = eventually(() => assert.equal(origin.maxOpen, LIMIT))
    const answers = {
      whole: (_request, response) => void full.then(() => trickle(response, 8)),
      gzip: (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed),
      short: (_request, response) => void cutOff(response),
      cut: cutOnce(),
      redirect: (_request, response) => void response.writeHead(302, { location: '/whole' }).end('elsewhere'),
      missing: (_request, response) => void trickle(response.writeHead(404), 8),
      busy: (_request, response) => void response.writeHead(503).end(),
      silent: () => {},
      type: (_request, response) => void trickle(response, 20),
    } satisfies Record<string, RequestListener>
    const roles = ['api', 'processor', 'processor', 'notifier']
    const impatient = { headers_timeout_ms: 300, max_retries: 1, retry_backoff_ms: 20 }
    /** So that more are stored at once than may be fetched at once. */
    const crowded = () => eventually(() => assert.equal(storing.most > LIMIT, true))
    await using service = await start(roles, crowded, impatient)
    const urls = Object.entries(answers).map(([name, answer]) => origin.on(`/${name}`, answer))
    const many = urls.filter((url) => !/silent|short$/.test(url)) // those take their time
    const ids = await enqueue(service, [...urls, ...Array.from({ length: 12 }, () => many).flat()])
    await service.receiver.count(ids.length, 20_000)
    assert.equal(origin.maxOpen, LIMIT)
    const ended = new Map(service.receiver.received.map(({ callback }) => [callback.resource_url, callback.error_code]))
    assert.deepEqual(
      urls.map((url) => ended.get(url)),
      ['', '', 'body.truncated', '', '', 'http.404', 'http.503', 'timeout.headers', 'mime.mismatch'],
    )
  })

  it('is never passed by the workers that GET /stats counts, which have their bodies yet to come', async () => {
    await using service = await start(['start'], () => new Promise<void>((resolve) => storing.release.push(resolve)))
    const url = origin.on('/file', 'content')
    const ids = await enqueue(
      service,
      Array.from({ length: 5 * LIMIT }, () => url),
    )
    await eventually(() => assert.equal(storing.now, ids.length))
    await eventually(async () => {
      const { workers, workerPools, maxWorkers, spawnedWorkers } = await statsOf(service)
      assert.deepEqual([workers, workerPools, spawnedWorkers], [0, 0, ids.length])
      assert.ok(maxWorkers && maxWorkers <= LIMIT, `maxWorkers ${maxWorkers}`)
    })
    const { processes } = (await (await service.get('/overview')).json()) as Overview
    assert.equal(processes.find(({ role }) => role === 'processor')?.running, ids.length)
    for (const release of storing.release) release()
    await service.receiver.count(ids.length)
    await eventually(async () => assert.equal((await statsOf(service)).workers, 0))
  })

  const statsOf = async (service: Service) =>
    (await (await service.get('/stats/processor')).json()) as Record<string, number>
})

const content = randomBytes(64 * 1024)
const packed = gzipSync(content)

/** Sends a piece after the other; a client may go away before the end. */
async function trickle(response: ServerResponse, pieces: number): Promise<void> {
  for (let i = 0; i < pieces && !response.destroyed; i++) {
    response.write(content)
    await delay(2)
  }
  response.end()
}

async function cutOff(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-length': 2 * content.length }).write(content)
  await delay(5)
  response.destroy()
}

/** A file whose first transfer is cut off behind its first MiB; it is continued. */
function cutOnce(): RequestListener {
  const body = randomBytes(3 << 19)
  return (request, response) => {
    const whole = request.headers.range === undefined
    void serve(request, response, { body, headers: { etag: '"one"' } }, whole ? { cutAfter: 5 << 18 } : {})
  }
}
