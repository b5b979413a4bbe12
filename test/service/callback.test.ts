import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { gzipSync } from 'node:zlib'
import type { Callback } from '../../src/jobs/callback.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type RawOrigin, response, startRawOrigin } from '../support/origin.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

const MAX_BYTES = 20_000

/** Retried or not: with one retry, the origin is asked twice or once. */
const times = (retried: boolean) => (retried ? 2 : 1)

describe('the callback', () => {
  let service: Service
  let origin: Origin
  /** Its paths are answered by what `raw.set` was given. */
  let rawOrigin: RawOrigin
  const raw = new Map<string, string | ((attempt: number) => string | undefined)>()

  before(async () => {
    origin = await startOrigin()
    const asked = new Map<string, number>()
    rawOrigin = await startRawOrigin((socket, head) => {
      const path = head.split(' ')[1] ?? ''
      asked.set(path, (asked.get(path) ?? 0) + 1)
      const answer = raw.get(path)
      const text = typeof answer === 'function' ? answer(asked.get(path) ?? 1) : answer
      if (text !== undefined) socket.end(text, 'latin1')
    })
    service = await startService({
      roles: ['start'],
      config: {
        processor: {
          max_retries: 1,
          retry_backoff_ms: 20,
          max_bytes: MAX_BYTES,
          connect_timeout_ms: 300,
          headers_timeout_ms: 250,
          stall_timeout_ms: 200,
          allow_networks: ['127.0.0.1/32'],
          download_url: 'http://files.test/with/slash/',
        },
      },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
    await rawOrigin[Symbol.asyncDispose]()
  })

  const askedFor = (path: string) => origin.requests.filter(({ url }) => url === path).length
  const rawAskedFor = (path: string) => rawOrigin.heads.filter((head) => head.startsWith(`GET ${path} `)).length

  /** What a failure must look like from outside. */
  function assertFailed(callback: Callback, error: RegExp, errorCode: string, responseCode: number) {
    assert.match(callback.error, error)
    const { success, error_code, response_code, download_url, image_size, size, sha256 } = callback
    assert.deepEqual(
      { success, error_code, response_code, download_url, image_size, size, sha256 },
      {
        success: false,
        error_code: errorCode,
        response_code: responseCode,
        download_url: '',
        image_size: '',
        size: 0,
        sha256: '',
      },
    )
    // clients look for the word to tell a failed type check from every other failure
    assert.equal(callback.error.includes('mime-type'), errorCode === 'mime.mismatch', callback.error)
  }

  it('has every key and no null, be it of a success or of a failure', async () => {
    const keys = {
      success: 'boolean',
      error: 'string',
      extra: 'string',
      resource_url: 'string',
      download_url: 'string',
      job_id: 'string',
      response_code: 'number',
      image_size: 'string',
      delivered: 'boolean',
      delivery_error: 'string',
      error_code: 'string',
      size: 'number',
      sha256: 'string',
      mime_type: 'string',
      final_url: 'string',
      redirects: 'number',
      timings: 'object',
    }
    const url = origin.on('/fine', 'text')
    for (const job of [{ url }, { url, mime_type: 'image/*' }, { url: `${origin.url}/absent` }]) {
      const callback = await service.download(job)
      const types = Object.fromEntries(Object.entries(callback).map(([key, value]) => [key, typeof value]))
      assert.deepEqual(types, keys)
      assert.deepEqual([callback.delivered, callback.delivery_error], [true, ''])
    }
  })

  it('says where the redirects ended, without the query, and how long it took', async () => {
    const end = `${origin.on('/signed', 'text')}?signature=secret`
    const url = origin.on('/moved', (_request, response) => response.writeHead(302, { location: `${end}#part` }).end())
    const redirected = await service.download({ url })
    assert.deepEqual([redirected.final_url, redirected.redirects], [`${origin.url}/signed`, 1])
    const { dns, connect, tls, first_byte, total } = redirected.timings
    for (const ms of [dns, connect, tls, first_byte, total]) assert.ok(Number.isInteger(ms) && ms >= 0, `${ms}`)
    assert.ok(first_byte <= total && connect <= total && dns === 0 && tls === 0, JSON.stringify(redirected.timings))

    const direct = await service.download({ url: url.replace('//', '//user:word@').replace('moved', 'signed#part') })
    assert.deepEqual([direct.final_url, direct.redirects], [`${origin.url}/signed`, 0])
    const failed = await service.download({ url: origin.url })
    assert.deepEqual([failed.error_code, failed.final_url], ['http.404', `${origin.url}/`])
  })

  it('is JSON, and says so', async () => {
    const id = await service.enqueue({ url: origin.on('/fine', 'text') })
    await service.receiver.callbackOf(id)
    const received = service.receiver.received.find(({ callback }) => callback.job_id === id)
    assert.match(received?.headers['content-type'] ?? '', /^application\/json/)
  })

  describe('says the status, and the job is retried or not, after', () => {
    const statuses: [number, string, boolean][] = [
      [400, 'Bad Request', false],
      [401, 'Unauthorized', false],
      [403, 'Forbidden', false],
      [404, 'Not Found', false],
      [408, 'Request Timeout', true],
      [410, 'Gone', false],
      [425, 'Too Early', true],
      [451, 'Unavailable For Legal Reasons', false],
      [500, 'Internal Server Error', true],
      [502, 'Bad Gateway', true],
      [503, 'Service Unavailable', true],
      [504, 'Gateway Timeout', true],
    ]
    for (const [status, reason, retried] of statuses) {
      it(`${status}: ${retried ? 'retried' : 'not retried'}`, async () => {
        const path = `/status/${status}`
        const url = origin.on(path, (_request, response) => response.writeHead(status).end('an error page'))
        const callback = await service.download({ url, mime_type: 'image/*' })
        assertFailed(callback, new RegExp(`^Received Status code ${status} ${reason}$`), `http.${status}`, status)
        assert.equal(askedFor(path), times(retried))
      })
    }

    it("one that no standard knows, in the server's own words", async () => {
      raw.set('/odd', response('', {}, '566 Out of cheese'))
      const callback = await service.download({ url: `${rawOrigin.url}/odd` })
      assertFailed(callback, /^Received Status code 566 Out of cheese$/, 'http.566', 566)
      assert.equal(rawAskedFor('/odd'), 2)
    })
  })

  describe('of a failed type check', () => {
    for (const [pattern, found, error] of [
      ['image/jpeg', PNG, 'Expected mime-type to be (image/jpeg), found (image/png)'],
      ['!image/png', PNG, 'Expected mime-type not to be (image/png), found (image/png)'],
      ['image/*,!image/png', PNG, 'Expected mime-type not to be (image/png), found (image/png)'],
      ['image/*', '<!doctype html><title>Sorry</title>', 'Expected mime-type to be (image/*), found (text/html)'],
      ['text/*', '', 'Expected mime-type to be (text/*), found (application/x-empty)'],
    ] as const) {
      it(`says what ${pattern} expected, and what was found; it is not retried`, async () => {
        const path = `/typed/${encodeURIComponent(pattern)}`
        const url = origin.on(path, (_request, response) => {
          response.setHeader('content-type', 'image/jpeg') // what the origin claims does not count
          response.end(found)
        })
        const callback = await service.download({ url, mime_type: pattern })
        assertFailed(callback, /./, 'mime.mismatch', 200)
        assert.equal(callback.error, error)
        assert.equal(askedFor(path), 1)
      })
    }

    for (const pattern of [
      'image/png',
      'image/*',
      '!image/vnd.adobe.photoshop,image/*',
      '!text/*',
      '*/*',
      'image/p?g',
    ]) {
      it(`does not come when ${pattern} holds for a PNG`, async () => {
        const { success, mime_type } = await service.download({ url: origin.on('/png', PNG), mime_type: pattern })
        assert.deepEqual([success, mime_type], [true, 'image/png'])
      })
    }
  })

  describe('of a body that ended early says unexpected EOF, and the job is retried', () => {
    const half = gzipSync('<html>'.repeat(500)).subarray(0, 30)
    const short = {
      'against its Content-Length': response('<html>', { 'content-length': 600 }),
      'against its chunking': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n',
      'in the middle of its gzip data': response(half.toString('latin1'), {
        'content-encoding': 'gzip',
        'content-length': half.length,
      }),
    }
    for (const [how, text] of Object.entries(short)) {
      for (const mime_type of ['', 'text/html', 'image/png']) {
        it(`${how}${mime_type ? `, also where ${mime_type} is expected` : ''}`, async () => {
          const path = `/short/${encodeURIComponent(how + mime_type)}`
          raw.set(path, text)
          const callback = await service.download({ url: rawOrigin.url + path, mime_type })
          assertFailed(callback, /unexpected EOF/, 'body.truncated', 200)
          assert.equal(rawAskedFor(path), 2)
        })
      }
    }

    it('and the retry that gets all of it succeeds', async () => {
      raw.set('/short-once', (attempt) => response('all of it', attempt === 1 ? { 'content-length': 99 } : {}))
      const { success, size, error, error_code } = await service.download({ url: `${rawOrigin.url}/short-once` })
      assert.deepEqual({ success, size, error, error_code }, { success: true, size: 9, error: '', error_code: '' })
    })
  })

  describe('names, with its figure,', () => {
    it('the redirects that were too many; ten are followed', async () => {
      for (let i = 1; i <= 11; i++) {
        origin.on(`/hop/${i}`, (_request, response) => response.writeHead(302, { location: `/hop/${i - 1}` }).end())
      }
      const url = origin.on('/hop/0', 'the end')
      const followed = await service.download({ url: url.replace(/0$/, '10') })
      assert.deepEqual([followed.success, followed.size, followed.response_code], [true, 7, 200])
      assert.equal(followed.resource_url, url.replace(/0$/, '10'))
      const callback = await service.download({ url: url.replace(/0$/, '11') })
      assertFailed(callback, /\b10 redirects/, 'redirect.too_many', 302)
      assert.equal(askedFor('/hop/11'), 1)
    })

    const large = 'x'.repeat(MAX_BYTES + 1)
    const packed = gzipSync(large).toString('latin1')
    for (const [what, text] of [
      ['announces too many bytes', response(large)],
      ['turns out to be too large', `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${large}`],
      [
        'is too large once it is decoded',
        response(packed, { 'content-encoding': 'gzip', 'content-length': packed.length }),
      ],
    ] as const) {
      it(`the size that a body may have, when it ${what}`, async () => {
        const path = `/large/${encodeURIComponent(what)}`
        raw.set(path, text)
        const callback = await service.download({ url: rawOrigin.url + path })
        assertFailed(callback, new RegExp(`\\b${MAX_BYTES} bytes`), 'limit.bytes', 200)
        assert.equal(rawAskedFor(path), 1)
      })
    }

    it('no size when the body is exactly as large as it may be', async () => {
      const { success, size } = await service.download({ url: origin.on('/just', 'x'.repeat(MAX_BYTES)) })
      assert.deepEqual([success, size], [true, MAX_BYTES])
    })

    it("the job's own timeout, in seconds", async () => {
      const url = origin.on('/drips', (_request, response) => {
        const timer = setInterval(() => response.write('.'), 50)
        response.once('close', () => clearInterval(timer))
      })
      const callback = await service.download({ url, download_timeout: 1, max_retries: 0 })
      assertFailed(callback, /longer than 1 s/, 'timeout.total', 200)
    })

    it('the time that the head may take; it is retried', async () => {
      raw.set('/silent', () => undefined)
      const callback = await service.download({ url: `${rawOrigin.url}/silent` })
      assertFailed(callback, /\b250 ms/, 'timeout.headers', 0)
      assert.equal(rawAskedFor('/silent'), 2)
    })

    it('the time without a byte of body; it is retried', async () => {
      const url = origin.on('/stalls', (_request, response) => void response.writeHead(200).write('first'))
      const callback = await service.download({ url })
      assertFailed(callback, /\b200 ms/, 'timeout.stall', 200)
      assert.equal(askedFor('/stalls'), 2)
    })

    it('the time that connecting may take, the TLS handshake included; it is retried', async () => {
      let connections = 0
      const silent = createServer((socket) => {
        connections++
        socket.on('error', () => {}).resume()
      }).listen(0, '127.0.0.1')
      await new Promise((resolve) => silent.once('listening', resolve))
      const address = silent.address()
      const port = typeof address === 'object' ? address?.port : 0
      const callback = await service.download({ url: `https://127.0.0.1:${port}/` })
      silent.close()
      assertFailed(callback, /127\.0\.0\.1 within 300 ms/, 'connect.timeout', 0)
      assert.equal(connections, 2)
    })
  })

  describe('says which', () => {
    it('address was refused; it is not retried', async () => {
      const id = await service.enqueue({ url: 'http://away.localhost/' }) // it is also ::1
      assertFailed(
        await service.receiver.callbackOf(id),
        /away\.localhost \(::1\) is loopback/,
        'guard.private_address',
        0,
      )
      assert.equal(await attemptsOf(id), 1)
    })

    it('connection was refused; it is retried', async () => {
      const id = await service.enqueue({ url: 'http://127.0.0.1:2/' })
      assertFailed(await service.receiver.callbackOf(id), /refused by 127\.0\.0\.1:2/, 'connect.refused', 0)
      assert.equal(await attemptsOf(id), 2)
    })

    it('name does not exist; it is retried', async () => {
      const id = await service.enqueue({ url: 'http://nobody.invalid/' })
      assertFailed(await service.receiver.callbackOf(id), /nobody\.invalid/, 'dns.not_found', 0)
      assert.equal(await attemptsOf(id), 2)
    })

    it('host closed the connection without an answer; it is retried', async () => {
      raw.set('/hangs-up', '')
      const callback = await service.download({ url: `${rawOrigin.url}/hangs-up` })
      assertFailed(callback, /127\.0\.0\.1:\d+ closed the connection/, 'connect.reset', 0)
      assert.equal(rawAskedFor('/hangs-up'), 2)
    })

    /** Attempts so far, once the log tells of the callback: it tells of things in their order. */
    async function attemptsOf(id: string): Promise<number> {
      const { logs, logged } = service.role('start')
      await logged(({ msg, job_id }) => msg === 'callback delivered' && job_id === id)
      return logs.filter(({ msg, job_id }) => msg === 'download failed' && job_id === id).length
    }
  })

  describe('of an image', () => {
    it('has its size when the job asked for it', async () => {
      const url = origin.on('/image', PNG)
      const asked = await service.download({ url, extract_image_size: true })
      assert.deepEqual([asked.success, asked.image_size], [true, '2x2'])
      assert.equal((await service.download({ url })).image_size, '')
      assert.equal((await service.download({ url, extract_image_size: false })).image_size, '')
    })

    it('has none for a type whose size is not supported', async () => {
      const { success, image_size } = await service.download({
        url: origin.on('/no-image', 'text'),
        extract_image_size: true,
      })
      assert.deepEqual([success, image_size], [true, ''])
    })

    it('says that its size cannot be read; it is not retried', async () => {
      const url = origin.on('/broken-image', PNG.subarray(0, 20))
      const callback = await service.download({ url, extract_image_size: true })
      assertFailed(callback, /size of the image/, 'image.size', 200)
      assert.equal(askedFor('/broken-image'), 1)
    })
  })

  describe("has the caller's own strings, byte for byte:", () => {
    const odd = [
      '/a b?q=a b|c{d}^`',
      '/ümläut/\u{1F600}?ß=%zz&x=%2F%2f',
      '/a/./b/../c//d/?#fragment?x',
      '/trailing ',
      '/percent%00%0a%F',
      '/semi;colon,comma!$\'()*+"<>\\back',
    ]
    for (const path of odd) {
      it(`resource_url ${path}`, async () => {
        for (const url of [origin.url + path, ` ${origin.url.replace('http', 'HtTp')}${path}`]) {
          const callback = await service.download({ url })
          assert.equal(callback.resource_url, url)
          assert.equal(callback.response_code, 404)
        }
      })
    }

    const extras = [
      '{"a": 1,  "b":"ü"}',
      'line\nbreak\ttab "quoted" \\',
      '\u0000\u001f\u2028\ufeff',
      '\ud800 alone',
      ' ',
    ]
    for (const extra of extras) {
      it(`extra ${JSON.stringify(extra)}`, async () => {
        assert.equal((await service.download({ url: origin.on('/fine', 'text'), extra })).extra, extra)
      })
    }

    it('extra that is large', async () => {
      const extra = 'ä'.repeat(100_000)
      assert.equal((await service.download({ url: origin.on('/fine', 'text'), extra })).extra, extra)
    })
  })

  describe('has a download_url', () => {
    it('below the base, whether that ends in a slash or not', async () => {
      const { download_url, job_id } = await service.download({ url: origin.on('/fine', 'text') })
      assert.equal(download_url, `http://files.test/with/slash/${job_id.slice(0, 3)}/${job_id}`)
    })

    it("with the job's own folder in it, escaped", async () => {
      const { download_url, job_id } = await service.download({
        url: origin.on('/fine', 'text'),
        subpath: '/some/fol der/ü#',
      })
      const folder = 'some/fol%20der/%C3%BC%23'
      assert.equal(download_url, `http://files.test/with/slash/${folder}/${job_id.slice(0, 3)}/${job_id}`)
    })
  })
})
