import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { eventually } from '../support/eventually.ts'
import { type Service, startService } from '../support/service.ts'

const job = {
  aggr_id: 'aggrFooBar',
  aggr_limit: 8,
  url: 'https://origin.test/image.png',
  callback_type: 'http',
  callback_dst: 'https://callback.test/',
}

interface ProblemBody {
  status: number
  title: string
  detail: string
}

describe('the API', () => {
  let service: Service
  let heartbeat: string

  before(async () => {
    heartbeat = path.join('/tmp', `downloader-heartbeat-${process.pid}`)
    const config = {
      api: { heartbeat_path: heartbeat, max_body_bytes: 10_000, request_timeout_ms: 1000 },
      backends: { http: {}, sqs: { region: 'eu-west-1' } },
    }
    service = await startService({ roles: ['api'], config })
  })
  after(() => service[Symbol.asyncDispose]())

  const post = (body: unknown, headers = {}) => service.post('/download', body, headers)
  const pending = async (aggregation: string) => {
    const all = (await (await service.get('/dashboard/aggregations')).json()) as { name: string; size: number }[]
    return all.find(({ name }) => name === `jobs:${aggregation}`)?.size
  }

  async function assertProblem(response: Response, status: number, detail: RegExp) {
    const body = (await response.json()) as ProblemBody
    assert.equal(response.status, status, body.detail)
    assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
    assert.equal(body.status, status)
    assert.match(body.detail, detail)
  }

  describe('POST /download', () => {
    it('answers 201 with an id of 10 random bytes', async () => {
      const response = await post(job)
      assert.equal(response.status, 201)
      const { id, ...rest } = (await response.json()) as { id: string }
      assert.match(id, /^[A-Za-z0-9_-]{14}$/)
      assert.deepEqual(rest, {})
      assert.equal(await service.redis.cli('EXISTS', `{downloader}:request:${id}`), '1')
    })

    it('takes JSON whatever the Content-Type says, as curl -d sends it', async () => {
      for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'application/json', '']) {
        assert.equal((await post(job, type ? { 'content-type': type } : {})).status, 201, type)
      }
    })

    it('takes everything that the original documents', async () => {
      const all = {
        ...job,
        aggr_proxy: 'http://proxy.test:3128',
        callback_type: 'sqs',
        callback_dst: 'sqs.eu-west-1.amazonaws.com/123456789012/downloads',
        extra: '{"a":1}',
        mime_type: '!image/vnd.adobe.photoshop,image/*',
        max_retries: 0,
        extract_image_size: true,
        download_timeout: 30,
        request_headers: { Accept: 'image/png,*/*', 'X-Number': 7 },
        s3_bucket: 'bucket',
        s3_region: 'eu-west-1',
      }
      assert.equal((await post(all)).status, 201)
    })

    it('takes what the Ruby client sends: empty strings, its own fields, error callbacks, a folder', async () => {
      const sent = {
        ...job,
        aggr_proxy: '',
        callback_error_type: '',
        callback_error_dst: 'https://errors.test/',
        mime_type: '',
        extra: '',
        user_agent: 'ferto',
        subpath: 'some/folder',
        s3_bucket: '',
        s3_region: '',
      }
      assert.equal((await post(sent)).status, 201)
    })

    it('takes callback_url before callback_type and callback_dst', async () => {
      const response = await post({ ...job, callback_type: 'sqs', callback_dst: 'x', callback_url: 'http://old.test/' })
      assert.equal(response.status, 201)
      const { id } = (await response.json()) as { id: string }
      const record = JSON.parse(await service.redis.cli('GET', `{downloader}:request:${id}`))
      assert.deepEqual([record.t, record.d], ['http', 'http://old.test/'])
    })

    it('needs no callback where the caller has a bucket', async () => {
      const { callback_type: _, callback_dst: __, ...bare } = job
      assert.equal((await post({ ...bare, s3_bucket: 'b', s3_region: 'eu-west-1' })).status, 201)
      await assertProblem(await post(bare), 400, /callback_type/)
    })

    it('drops headers that belong to the connection', async () => {
      const response = await post({
        ...job,
        request_headers: {
          Host: 'x',
          'content-length': 5,
          'Transfer-Encoding': 'chunked',
          Connection: 'close',
          Ok: 'yes',
        },
      })
      const { id } = (await response.json()) as { id: string }
      const record = JSON.parse(await service.redis.cli('GET', `{downloader}:request:${id}`))
      assert.deepEqual(record.h, { Ok: 'yes' })
    })

    const wrong: [string, Record<string, unknown>, RegExp][] = [
      ['no aggr_id', { aggr_id: undefined }, /^aggr_id: is required$/],
      ['an empty aggr_id', { aggr_id: '' }, /aggr_id/],
      ['a number as aggr_id', { aggr_id: 5 }, /aggr_id: must be a string/],
      ['no aggr_limit', { aggr_limit: undefined }, /^aggr_limit: is required$/],
      ['an aggr_limit of 0', { aggr_limit: 0 }, /aggr_limit: must be an integer of at least 1/],
      ['a fraction as aggr_limit', { aggr_limit: 1.5 }, /aggr_limit: must be an integer/],
      ['a text as aggr_limit', { aggr_limit: '8' }, /aggr_limit/],
      ['no url', { url: undefined }, /^url: is required$/],
      ['an ftp url', { url: 'ftp://origin.test/' }, /url: must be an http or https URL/],
      ['a url that is none', { url: 'origin.test' }, /url/],
      ['a wrong aggr_proxy', { aggr_proxy: 'socks5://p.test' }, /aggr_proxy/],
      ['an unknown callback_type', { callback_type: 'smtp' }, /callback_type: must be one of http, kafka, sqs/],
      ['a backend that the deployment lacks', { callback_type: 'kafka', callback_dst: 't' }, /callback_type.*kafka/],
      ['a type without destination', { callback_dst: undefined }, /callback_dst/],
      ['a destination without type', { callback_type: undefined }, /callback_type/],
      ['a destination that is no URL', { callback_dst: 'nowhere' }, /callback_dst/],
      [
        'a queue with credentials',
        { callback_type: 'sqs', callback_dst: 'https://a:b@sqs.test/1/q' },
        /without user and password/,
      ],
      ['a callback_url that is no URL', { callback_url: 'nowhere' }, /callback_url/],
      ['a wrong callback_error_dst', { callback_error_dst: 'nowhere' }, /callback_error_dst/],
      [
        'an unknown callback_error_type',
        { callback_error_type: 'x', callback_error_dst: 'http://e.test' },
        /callback_error_type/,
      ],
      ['extra that is no string', { extra: { a: 1 } }, /extra: must be a string/],
      ['a wrong mime_type', { mime_type: '!' }, /mime_type/],
      ['negative max_retries', { max_retries: -1 }, /max_retries/],
      ['a text as extract_image_size', { extract_image_size: 'yes' }, /extract_image_size/],
      ['a download_timeout of 0', { download_timeout: 0 }, /download_timeout/],
      ['a list as request_headers', { request_headers: ['a'] }, /request_headers/],
      ['a header that is an object', { request_headers: { A: {} } }, /request_headers\.A/],
      ['a header with a line break', { request_headers: { A: 'x\r\nEvil: yes' } }, /request_headers\.A/],
      ['a header name with a space', { request_headers: { 'A B': 'x' } }, /request_headers\.A B/],
      ['s3_bucket alone', { s3_bucket: 'b' }, /s3_region/],
      ['s3_region alone', { s3_region: 'eu-west-1' }, /s3_bucket/],
      ['a subpath that climbs', { subpath: 'a/../b' }, /subpath/],
      ['a subpath with a backslash', { subpath: 'a\\b' }, /subpath/],
      ['a subpath with NUL', { subpath: 'a\0b' }, /subpath/],
    ]
    for (const [what, change, detail] of wrong) {
      it(`refuses ${what}, and names the field`, async () => {
        await assertProblem(await post({ ...job, ...change }), 400, detail)
      })
    }

    it('refuses bodies that are no JSON object', async () => {
      for (const body of ['', '{', '[]', '5', 'null', '"x"', 'aggr_id=5']) {
        await assertProblem(await post(body), 400, /body/)
      }
    })

    it('answers 413 above the limit, with and without a Content-Length', async () => {
      await assertProblem(await post({ ...job, extra: 'x'.repeat(10_000) }), 413, /10000 bytes/)
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const request = http.request(`${service.url}/download`, { method: 'POST' }, (response) => {
          resolve(response.statusCode)
          response.resume()
        })
        request.on('error', reject)
        request.write('x'.repeat(8000))
        request.end('x'.repeat(8000))
      })
      assert.equal(status, 413)
    })

    it('does not wait for ever for a slow body', async () => {
      const { hostname, port } = new URL(service.url)
      const socket = net.connect(Number(port), hostname)
      socket.write('POST /download HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"aggr_id"')
      let answer = ''
      for await (const data of socket) answer += data
      assert.match(answer, /^HTTP\/1.1 4(08|00)/)
    })
  })

  it('answers the heartbeat, and 503 while the file exists', async () => {
    const healthy = await service.get('/hb')
    assert.deepEqual([healthy.status, await healthy.text()], [200, 'OK'])
    await writeFile(heartbeat, '')
    try {
      assert.equal((await service.get('/hb')).status, 503)
    } finally {
      await rm(heartbeat)
    }
    assert.equal((await service.get('/hb')).status, 200)
  })

  it('says that it is alive, and ready when Redis takes jobs', async () => {
    for (const path of ['/livez', '/readyz']) {
      const response = await service.get(path)
      assert.deepEqual([response.status, await response.text()], [200, 'OK'], path)
    }
  })

  it('tells Prometheus how many jobs there are, and that none is unaccounted for', async () => {
    await post(job)
    const response = await service.get('/metrics')
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    const metrics = await response.text()
    const accepted = /^downloader_jobs_accepted_total (\d+)$/m.exec(metrics)?.[1]
    const pending = /^downloader_jobs{room="downloads",state="pending"} (\d+)$/m.exec(metrics)?.[1]
    assert.ok(Number(accepted) > 0)
    assert.equal(pending, accepted) // nobody works here
    assert.match(metrics, /^downloader_jobs_at_rest{reason="callback-failed"} 0$/m)
    assert.match(metrics, /^downloader_jobs_unaccounted 0$/m)
  })

  it('describes itself, for programs and for people', async () => {
    const document = (await (await service.get('/openapi.json')).json()) as { openapi: string; paths: object }
    assert.equal(document.openapi, '3.1.0')
    assert.ok('/download' in document.paths)
    const page = await service.get('/docs')
    assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
    assert.match(await page.text(), /<code>\/download<\/code>/)
    assert.match((await service.get('/docs/docs.css')).headers.get('content-type') ?? '', /^text\/css/)
  })

  it('lists the aggregations that have pending jobs', async () => {
    const name = `counted ${Date.now()}`
    assert.equal(await pending(name), undefined)
    for (let i = 0; i < 3; i++) await post({ ...job, aggr_id: name })
    assert.equal(await pending(name), 3)
  })

  it('cancels all that waits in an aggregation, and tells what is left', async () => {
    for (let i = 0; i < 2; i++) await post({ ...job, aggr_id: 'partly' })
    // one whose record was lost cannot be cancelled
    const place = '{downloader}:downloads:pending:partly'
    await service.redis.cli('ZADD', place, '1', 'AAAAAAAAAAAAAA')
    const empty = async () => {
      const answer = await service.send('DELETE', '/aggregations/partly')
      return [answer.status, await answer.json()]
    }
    const emptied = { aggr_id: 'partly', cancelled: 2, running: 0, remaining: 1 }
    assert.deepEqual(await empty(), [202, emptied])
    await service.redis.cli('ZREM', place, 'AAAAAAAAAAAAAA')
    assert.deepEqual(await empty(), [200, { ...emptied, cancelled: 0, remaining: 0 }])
  })

  it('answers 404 for an unknown path, and 405 with Allow for another method', async () => {
    await assertProblem(await service.get('/nothing'), 404, /nothing/)
    for (const [path, method, allow] of [
      ['/download', 'GET', /POST/],
      ['/retry/NSb4FOAs9fVaQw', 'GET', /POST/],
      ['/hb', 'POST', /GET/],
      ['/stats/processor', 'DELETE', /GET/],
      ['/dashboard/aggregations', 'PUT', /GET/],
      ['/', 'POST', /GET/],
    ] as const) {
      const response = await service.send(method, path)
      assert.match(response.headers.get('allow') ?? '', allow, path)
      await assertProblem(response, 405, new RegExp(method))
    }
  })

  it('answers a retry with 404 for an unknown job and 409 for one whose callback has not failed', async () => {
    await assertProblem(await service.post('/retry/NSb4FOAs9fVaQw'), 404, /NSb4FOAs9fVaQw/)
    await assertProblem(await service.post('/retry/..%2f..'), 404, /job_id/)
    const { id } = (await (await post(job)).json()) as { id: string }
    await assertProblem(await service.post(`/retry/${id}`), 409, /has not failed/)
  })

  it('answers the stats with 404 for an unknown name, and when none is alive', async () => {
    await assertProblem(await service.get('/stats/janitor'), 404, /janitor/)
    await assertProblem(await service.get('/stats/processor'), 404, /processor/)
  })

  it('serves the dashboard from its own files, under a strict policy', async () => {
    const response = await service.get('/')
    assert.equal(response.status, 200)
    assert.match(response.headers.get('content-type') ?? '', /text\/html/)
    assert.match(response.headers.get('content-security-policy') ?? '', /default-src 'self'/)
    const page = await response.text()
    for (const [, file] of page.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      assert.equal((await service.get(file ?? '')).status, 200, file)
    }
  })
})

describe('the API with tokens', () => {
  let service: Service
  before(async () => {
    service = await startService({ roles: ['api'], config: { api: { tokens: ['first-token', 'second'] } } })
  })
  after(() => service[Symbol.asyncDispose]())

  it('wants a token on every endpoint but those for the health', async () => {
    for (const path of ['/hb', '/livez', '/readyz']) assert.equal((await service.get(path)).status, 200, path)
    for (const path of ['/', '/metrics', '/stats/processor', '/dashboard/aggregations', '/nothing']) {
      const response = await service.get(path)
      assert.equal(response.status, 401, path)
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/)
    }
    assert.equal((await service.post('/download', job)).status, 401)
    assert.equal((await service.post('/download', job, { authorization: 'Bearer wrong' })).status, 401)
  })

  it('takes each of the tokens', async () => {
    for (const token of ['first-token', 'second']) {
      assert.equal((await service.post('/download', job, { authorization: `Bearer ${token}` })).status, 201)
    }
  })

  it('lets a browser read with the token as password, but not write', async () => {
    const authorization = `Basic ${Buffer.from('me:second').toString('base64')}`
    assert.equal((await service.send('GET', '/', undefined, { authorization })).status, 200)
    assert.equal((await service.post('/download', job, { authorization })).status, 401)
  })
})

describe('a browser, where there are tokens,', () => {
  let service: Service
  before(async () => {
    service = await startService({ roles: ['api'], config: { api: { tokens: ['the token'] } } })
  })
  after(() => service[Symbol.asyncDispose]())

  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  /** As a browser asks for a page. */
  const open = (path: string, headers = {}) =>
    service.send('GET', path, undefined, { accept: 'text/html,*/*', ...headers })

  it('is led from every page to the form, and from there to where it wanted to go', async () => {
    for (const path of ['/', '/docs', '/jobs', '/jobs/AAAAAAAAAAAAAA', '/aggregations', '/events', '/openapi.json']) {
      const { status, headers } = await open(path)
      assert.deepEqual([status, headers.get('location')], [303, `/login?next=${encodeURIComponent(path)}`], path)
    }
    const page = await open('/login?next=%2Fdocs')
    assert.deepEqual([page.status, page.headers.get('cache-control')], [200, 'no-store'])
    assert.match(await page.text(), /value="\/docs"/)
    assert.equal((await open('/hb')).status, 200)
  })

  it('gets a session for a token, and none for anything else', async () => {
    const wrong = await service.post('/login', 'token=other&next=%2Fdocs', form)
    assert.deepEqual([wrong.status, wrong.headers.get('set-cookie')], [401, null])
    const { status, headers } = await service.post('/login', 'token=the+token&next=%2Fdocs', form)
    assert.deepEqual([status, headers.get('location')], [303, '/docs'])
    const [cookie = ''] = (headers.get('set-cookie') ?? '').split(';')
    assert.equal((await open('/docs', { cookie })).status, 200)
    assert.equal((await service.post('/login', 'token=the+token&next=//evil.test', form)).headers.get('location'), '/')

    const out = await service.post('/logout', undefined, { cookie })
    assert.deepEqual([out.status, out.headers.get('location')], [303, '/login'])
    assert.match(out.headers.get('set-cookie') ?? '', /^downloader_session=;.*Max-Age=0/)
    assert.equal((await service.post('/logout')).status, 401)
  })

  it('needs no session where there are no tokens', async () => {
    await using free = await startService({ roles: ['api'], redis: service.redis })
    for (const [method, path] of [
      ['GET', '/login?next=%2Fdocs'],
      ['POST', '/login'],
      ['POST', '/logout'],
    ] as const) {
      const { status, headers } = await free.send(method, path, method === 'POST' ? 'next=%2Fdocs' : undefined, form)
      assert.deepEqual([status, headers.get('location')], [303, path === '/logout' ? '/login' : '/docs'], path)
    }
  })
})

describe('the API without Redis', () => {
  it('answers 503 with Retry-After within a second or so, and works again when Redis is back', async () => {
    await using service = await startService({ roles: ['api'] })
    assert.equal((await service.post('/download', job)).status, 201)
    for (const away of ['killed', 'frozen']) {
      if (away === 'killed') await service.redis.kill()
      else service.redis.pause()
      const began = performance.now()
      const response = await service.post('/download', job)
      const took = performance.now() - began
      assert.equal(response.status, 503, away)
      assert.ok(Number(response.headers.get('retry-after')) >= 1)
      assert.ok(took < 2000, `${away}: ${took} ms`)
      assert.equal((await service.get('/livez')).status, 200, away)
      assert.equal((await service.get('/readyz')).status, 503, away)
      if (away === 'killed') await service.redis.start()
      else service.redis.resume()
      let status = 0
      for (let i = 0; i < 20 && status !== 201; i++) status = (await service.post('/download', job)).status
      assert.equal(status, 201, away)
      assert.equal((await service.get('/readyz')).status, 200, away)
    }
  })

  it('is not ready, and accepts nothing, while Redis answers but takes no writes', async () => {
    await using service = await startService({ roles: ['api'] })
    const full = (bytes: string) => service.redis.cli('CONFIG', 'SET', 'maxmemory', bytes)
    const replica = (...master: [string, string]) => service.redis.cli('REPLICAOF', ...master)
    for (const [obstacle, remedy] of [
      [() => full('1'), () => full('0')],
      [() => replica('127.0.0.1', '1'), () => replica('NO', 'ONE')],
    ] as const) {
      await obstacle()
      assert.equal((await service.get('/readyz')).status, 503)
      assert.equal((await service.post('/download', job)).status, 503)
      await remedy()
      await eventually(async () => assert.equal((await service.get('/readyz')).status, 200))
      assert.equal((await service.post('/download', job)).status, 201)
    }
  })

  it('logs what it did not expect Redis to answer, and nothing of what Redis was asked', async () => {
    await using service = await startService({ roles: ['api'] })
    await service.redis.cli('SET', '{downloader}:totals', 'not a hash')
    const url = 'http://user:hunter2@origin.test/?token=s3cr3t'
    const secret = { ...job, url, request_headers: { Authorization: 'Bearer t0ps3cr3t' } }
    assert.equal((await service.post('/download', secret)).status, 500)
    const line = await service.role('api').logged(({ msg }) => msg === 'a request failed')
    assert.match(JSON.stringify(line), /WRONGTYPE/)
    assert.doesNotMatch(JSON.stringify(line), /hunter2|s3cr3t/)
  })
})
