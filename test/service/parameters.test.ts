import assert from 'node:assert/strict'
import { request } from 'node:http'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startService } from '../support/service.ts'

interface ProblemBody {
  status: number
  title: string
  detail: string
}

/** Every answer that is no success is a problem of RFC 9457. */
async function assertProblem(response: Response, status: number, detail: RegExp) {
  const body = (await response.json()) as ProblemBody
  assert.equal(response.status, status, body.detail)
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
  assert.equal(body.status, status)
  assert.match(body.detail, detail)
}

describe('the parameters of POST /download', () => {
  let service: Service
  let origin: Origin
  let job: Record<string, unknown>

  before(async () => {
    origin = await startOrigin()
    service = await startService({ roles: ['start'], config: { api: { max_body_bytes: 100_000 } } })
    job = {
      aggr_id: 'a',
      aggr_limit: 1,
      url: origin.on('/file', 'content'),
      callback_type: 'http',
      callback_dst: service.receiver.url,
    }
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  async function accepted(change: Record<string, unknown>) {
    const response = await service.post('/download', { ...job, ...change })
    const { id, detail } = (await response.json()) as { id: string; detail?: string }
    assert.equal(response.status, 201, `${JSON.stringify(change)}: ${detail}`)
    return service.receiver.callbackOf(id)
  }

  it('are absent where an optional one is an empty string', async () => {
    const optional = [
      'aggr_proxy',
      'callback_url',
      'callback_error_type',
      'callback_error_dst',
      'extra',
      'mime_type',
      'max_retries',
      'extract_image_size',
      'checksum',
      'max_bytes',
      'max_pixels',
      'download_timeout',
      'request_headers',
      's3_bucket',
      's3_region',
      'subpath',
    ]
    for (const name of optional) assert.equal((await accepted({ [name]: '' })).success, true, name)
    const { success, extra } = await accepted(Object.fromEntries(optional.map((name) => [name, ''])))
    assert.deepEqual([success, extra], [true, ''])
    const withUrl = { callback_type: '', callback_dst: '', callback_url: service.receiver.url }
    assert.equal((await accepted(withUrl)).success, true)
  })

  it('are ignored where nobody knows them', async () => {
    const { success } = await accepted({ user_agent: 'ferto', s3_key: 5, job_id: 'x', __proto__: 1, nested: { a: [] } })
    assert.equal(success, true)
  })

  it('may be as large as max_body_bytes lets them', async () => {
    const rest = JSON.stringify({ ...job, extra: '' }).length
    const extra = 'x'.repeat(100_000 - rest)
    assert.equal((await accepted({ extra })).extra, extra)
    await assertProblem(await service.post('/download', { ...job, extra: `${extra}x` }), 413, /100000 bytes/)
  })

  it('come back byte for byte, also half of a surrogate pair in extra', async () => {
    const extra = 'cut off: \ud83d, whole: 😀'
    assert.equal((await accepted({ extra })).extra, extra)
  })

  const wrong: [string, Record<string, unknown>, RegExp][] = [
    ['half of a surrogate pair in subpath', { subpath: 'a/\ud83d' }, /subpath: must be well-formed Unicode/],
    ['half of a surrogate pair in aggr_id', { aggr_id: 'a\udc00' }, /aggr_id: must be well-formed Unicode/],
    ['half of a surrogate pair in url', { url: 'http://a.test/\ud83d' }, /url: must be well-formed Unicode/],
    ['a control character in subpath', { subpath: 'a\u0085b' }, /subpath: must not hold .* control characters/],
    ['a line break in subpath', { subpath: 'a\nb' }, /subpath: must not hold .* control characters/],
    ['an empty url', { url: '' }, /url/],
    ['a url without a host', { url: 'http://' }, /url/],
    ['a url that is an object', { url: {} }, /url/],
    ['a file url', { url: 'file:///etc/passwd' }, /url: must be an http or https URL/],
    ['an aggr_limit that is too large to be a number of anything', { aggr_limit: 1e300 }, /aggr_limit/],
    ['an empty aggr_limit', { aggr_limit: '' }, /aggr_limit/],
    ['a negative aggr_limit', { aggr_limit: -1 }, /aggr_limit/],
    ['a fraction as max_retries', { max_retries: 0.5 }, /max_retries/],
    ['a text as max_retries', { max_retries: '3' }, /max_retries/],
    ['a fraction as download_timeout', { download_timeout: 1.5 }, /download_timeout/],
    ['a number as extract_image_size', { extract_image_size: 1 }, /extract_image_size/],
    ['a checksum without an algorithm', { checksum: 'e3b0c442' }, /checksum: must be sha256/],
    [
      'a checksum of an algorithm that nobody knows',
      { checksum: `crc32:${'0'.repeat(8)}` },
      /checksum: must be sha256/,
    ],
    ['a checksum named like a property of every object', { checksum: 'constructor:0' }, /checksum: must be sha256/],
    ['a checksum that is too short', { checksum: `sha256:${'0'.repeat(63)}` }, /checksum: must be sha256/],
    ['a checksum that is no hex', { checksum: `md5:${'g'.repeat(32)}` }, /checksum: must be sha256/],
    ['a checksum that is a number', { checksum: 5 }, /checksum: must be a string/],
    ['a max_bytes of 0', { max_bytes: 0 }, /max_bytes: must be an integer of at least 1/],
    ['a fraction as max_bytes', { max_bytes: 1.5 }, /max_bytes: must be an integer/],
    ['a max_pixels of 0', { max_pixels: 0 }, /max_pixels: must be an integer of at least 1/],
    ['a text as max_pixels', { max_pixels: '1000' }, /max_pixels: must be an integer/],
    ['an aggr_proxy that is no URL', { aggr_proxy: 'proxy:3128x' }, /aggr_proxy/],
    ['a text as request_headers', { request_headers: 'A: b' }, /request_headers/],
    ['a header that is a fraction', { request_headers: { A: 1.5 } }, /request_headers\.A/],
    ['a header that is true', { request_headers: { A: true } }, /request_headers\.A/],
    ['a header that is null', { request_headers: { A: null } }, /request_headers\.A/],
    ['a header with NUL', { request_headers: { A: 'a\0b' } }, /request_headers\.A/],
    ['a header without a name', { request_headers: { '': 'a' } }, /request_headers/],
    ['a header whose name has a line break', { request_headers: { 'A\r\nB': 'a' } }, /request_headers/],
    ['mime_type of an odd kind', { mime_type: ['image/png'] }, /mime_type: must be a string/],
    ['a number as extra', { extra: 5 }, /extra: must be a string/],
    ['a subpath that is only ..', { subpath: '..' }, /subpath/],
    ['a subpath that ends in ..', { subpath: 'a/..' }, /subpath/],
    ['a subpath that begins with ..', { subpath: '/../a' }, /subpath/],
    [
      'an error callback over a backend that the deployment lacks',
      { callback_error_type: 'sqs', callback_error_dst: 'host/queue' },
      /callback_error_type.*sqs/,
    ],
    ['a callback_type in capitals', { callback_type: 'HTTP' }, /callback_type/],
  ]
  for (const [what, change, detail] of wrong) {
    it(`are refused where there is ${what}`, async () => {
      await assertProblem(await service.post('/download', { ...job, ...change }), 400, detail)
    })
  }

  it('are named, all that are wrong', async () => {
    const response = await service.post('/download', { aggr_id: 'a', aggr_limit: 0, url: 'x', mime_type: '!' })
    const { detail } = (await response.json()) as ProblemBody
    for (const name of ['aggr_limit', 'url', 'mime_type']) assert.match(detail, new RegExp(`${name}: `))
  })

  it('come back with a problem for every method that is not theirs', async () => {
    const paths = ['/download', '/retry/NSb4FOAs9fVaQw', '/hb', '/stats/notifier', '/dashboard/aggregations', '/']
    const reading = new Set(paths.slice(2))
    for (const path of paths) {
      for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PURGE']) {
        if (method === (reading.has(path) ? 'GET' : 'POST')) continue
        const { status, allow } = await ask(method, path)
        assert.deepEqual([status, /GET|POST/.test(allow)], [405, true], `${method} ${path}`)
      }
    }
  })

  it('and paths that nobody knows, or that are no paths, are problems too', async () => {
    for (const path of ['/downloads', '/download/', '/stats', '/stats/', '/retry', '/retry/', '/hb/x', '/%ff']) {
      const response = await service.send(path.startsWith('/retry') ? 'POST' : 'GET', path)
      assert.ok([400, 404, 405].includes(response.status), `${path}: ${response.status}`)
      assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/, path)
    }
    for (const path of ['/retry/%ff', '/retry/%00', '/retry/a%2Fb', `/retry/${'a'.repeat(5000)}`]) {
      const response = await service.post(path)
      assert.ok([400, 404].includes(response.status), `${path}: ${response.status}`)
    }
  })

  /** Not by fetch, which knows only some methods. */
  function ask(method: string, path: string): Promise<{ status: number | undefined; allow: string }> {
    return new Promise((resolve, reject) => {
      request(service.url + path, { method }, (response) => {
        response.resume()
        resolve({ status: response.statusCode, allow: response.headers.allow ?? '' })
      })
        .on('error', reject)
        .end()
    })
  }
})

describe('the answers of an API', () => {
  it('are problems also where a token is missing, on every endpoint but the heartbeat', async () => {
    await using service = await startService({ roles: ['api'], config: { api: { tokens: ['a token'] } } })
    for (const [method, path] of [
      ['POST', '/download'],
      ['POST', '/retry/NSb4FOAs9fVaQw'],
      ['GET', '/stats/notifier'],
      ['GET', '/dashboard/aggregations'],
      ['GET', '/dashboard/dashboard.js'],
      ['GET', '/'],
    ] as const) {
      await assertProblem(await service.send(method, path), 401, /token/)
      for (const authorization of ['Bearer a token', 'bearer   a token']) {
        const allowed = await service.send(method, path, undefined, { authorization })
        assert.notEqual(allowed.status, 401, path)
        await allowed.body?.cancel()
      }
    }
    assert.equal((await service.get('/hb')).status, 200)
  })

  it('are problems also without Redis, at once', async () => {
    await using service = await startService({ roles: ['api'] })
    await service.redis.kill()
    const job = {
      aggr_id: 'a',
      aggr_limit: 1,
      url: 'http://o.test',
      callback_type: 'http',
      callback_dst: 'http://c.test',
    }
    const answers = [service.post('/download', job), service.post('/retry/NSb4FOAs9fVaQw')]
    for (const response of await Promise.all(answers)) {
      assert.ok(Number(response.headers.get('retry-after')) >= 1)
      await assertProblem(response, 503, /queue cannot take this now/)
    }
    await assertProblem(await service.post('/download', { ...job, aggr_limit: 0 }), 400, /aggr_limit/)
    assert.equal((await service.get('/hb')).status, 200)
    assert.equal((await service.get('/')).status, 200)
  })
})
