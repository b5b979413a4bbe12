import assert from 'node:assert/strict'
import { FetchConfig } from '../../../src/processor/fetch/config.ts'
import { response, startRawOrigin } from '../../support/origin.ts'
import { failure, header, startFetcher, text, until } from './harness.ts'

describe('the fetcher', () => {
  it('brings status, headers, the final URL and the body', async () => {
    await using origin = await startRawOrigin(() => response('content', { 'Content-Type': 'image/png' }, '203 Fine'))
    await using fetcher = await startFetcher()
    const got = await fetcher.fetch(`${origin.url}/a?b=c#d`)
    assert.equal(got.status, 203)
    assert.equal(got.headers['content-type'], 'image/png')
    assert.equal(got.url, `${origin.url}/a?b=c`)
    assert.equal(got.redirects, 0)
    assert.equal(await text(got), 'content')
    assert.match(origin.heads[0] ?? '', /^GET \/a\?b=c HTTP\/1\.1\r\n/)
  })

  it('uses a connection again', async () => {
    await using origin = await startRawOrigin(() => response('again'))
    await using fetcher = await startFetcher()
    for (let i = 0; i < 5; i++) assert.equal(await fetcher.read(origin.url), 'again')
    assert.equal(origin.connections, 1)
  })

  it('reads bodies of many pieces, chunked or ended by closing', async () => {
    const body = 'x'.repeat(3_000_000)
    await using origin = await startRawOrigin((socket, head) => {
      if (head.startsWith('GET /close')) socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`)
      else if (head.startsWith('GET /length')) return response(body)
      else return `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk(body)}${chunk('y')}0\r\n\r\n`
    })
    await using fetcher = await startFetcher()
    assert.equal(await fetcher.read(`${origin.url}/close`), body)
    assert.equal(await fetcher.read(`${origin.url}/length`), body)
    assert.equal(await fetcher.read(`${origin.url}/chunked`), `${body}y`)
  })

  it('ignores what a server says before it answers', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'
    await using origin = await startRawOrigin(() => hints + hints + response('then'))
    await using fetcher = await startFetcher()
    assert.equal(await fetcher.read(origin.url), 'then')
  })

  it('does not read faster than its reader', async () => {
    let written = 0
    const piece = Buffer.alloc(64 * 1024)
    await using origin = await startRawOrigin((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n')
      const pour = () => {
        while (socket.writable && socket.write(piece)) written += piece.length
      }
      socket.on('drain', pour)
      pour()
    })
    await using fetcher = await startFetcher()
    const got = await fetcher.fetch(origin.url)
    const body = got.body[Symbol.asyncIterator]()
    await body.next()
    const [socket] = origin.sockets
    await new Promise<void>((resolve) => {
      let before = -1
      const look = setInterval(() => {
        if (written === before) {
          clearInterval(look)
          resolve()
        }
        before = written
      }, 200)
    })
    assert.ok(written < 50_000_000, `${written} bytes went out unread`) // what fits into the buffers of two sockets
    assert.ok(socket?.writable)
    await got.discard()
    await origin.idle()
  })

  it('sends a second time what an idle connection swallowed by closing', async () => {
    const seen = new Set()
    await using origin = await startRawOrigin((socket) => {
      if (seen.has(socket)) return socket.destroy()
      seen.add(socket)
      return response('fresh')
    })
    await using fetcher = await startFetcher()
    assert.equal(await fetcher.read(`${origin.url}/1`), 'fresh')
    assert.equal(await fetcher.read(`${origin.url}/2`), 'fresh')
    assert.equal(origin.connections, 2)
    assert.equal(origin.heads.filter((head) => head.startsWith('GET /2 ')).length, 2)
  })

  it('sends once what a new connection swallows', async () => {
    await using origin = await startRawOrigin((socket) => socket.destroy())
    await using fetcher = await startFetcher()
    await assert.rejects(fetcher.fetch(origin.url), { code: 'connect.reset' })
    assert.equal(origin.connections, 1)
  })

  describe('statuses', () => {
    for (const [status, text, retriable] of [
      ['400 Bad Request', '400 Bad Request', false],
      ['401 Unauthorized', '401 Unauthorized', false],
      ['403 Forbidden', '403 Forbidden', false],
      ['404 Not Found', '404 Not Found', false],
      ['404 NOT FOUND', '404 Not Found', false],
      ['404 ', '404 Not Found', false],
      ['407 Proxy Authentication Required', '407 Proxy Authentication Required', false],
      ['408 Request Timeout', '408 Request Timeout', true],
      ['410 Gone', '410 Gone', false],
      ['425 Too Early', '425 Too Early', true],
      ['429 Too Many Requests', '429 Too Many Requests', true],
      ['499 ', '499', false],
      ['500 Internal Server Error', '500 Internal Server Error', true],
      ['502 Bad Gateway', '502 Bad Gateway', true],
      ['503 Service Unavailable', '503 Service Unavailable', true],
      ['520 Web \x07Server', '520 Web Server', true],
      ['599 ', '599', true],
    ] as const) {
      it(`fails on ${JSON.stringify(status)}, ${retriable ? 'for now' : 'for good'}`, async () => {
        await using origin = await startRawOrigin(() => response('an error page', {}, status))
        await using fetcher = await startFetcher()
        const code = Number(status.slice(0, 3))
        const expected = { code: `http.${code}`, text: `Received Status code ${text}`, retriable, responseCode: code }
        await assert.rejects(fetcher.fetch(origin.url), (error: Error) => {
          assert.equal(error.message, expected.text)
          return failure(expected)(error)
        })
      })
    }

    it('passes on how long a server asks to wait, and only with failures that may pass', async () => {
      await using origin = await startRawOrigin((_, head) =>
        response('', { 'Retry-After': '7' }, head.startsWith('GET /busy') ? '503 Busy' : '404 Gone'),
      )
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(`${origin.url}/busy`), { code: 'http.503', retryAfterMs: 7000 })
      await assert.rejects(fetcher.fetch(`${origin.url}/gone`), { code: 'http.404', retryAfterMs: undefined })
    })

    it('uses the connection of a small error page again, and hangs up on a large one', async () => {
      await using origin = await startRawOrigin((_, head) =>
        head.startsWith('GET /small')
          ? response('sorry', {}, '404 Not Found')
          : 'HTTP/1.1 404 Not Found\r\nContent-Length: 1000000\r\n\r\nsorry',
      )
      await using fetcher = await startFetcher()
      for (let i = 0; i < 3; i++) await assert.rejects(fetcher.fetch(`${origin.url}/small`), { code: 'http.404' })
      assert.equal(origin.connections, 1)
      await assert.rejects(fetcher.fetch(`${origin.url}/large`), { code: 'http.404' })
      await origin.idle()
    })

    for (const [status, retriable] of Object.entries({
      '206 Partial Content': true,
      '300 Multiple Choices': false,
      '304 Not Modified': true,
      '305 Use Proxy': false,
      '399': false,
    })) {
      it(`does not take ${status} for the file`, async () => {
        const head = { Location: '/other', 'Content-Range': 'bytes 0-6/8' }
        await using origin = await startRawOrigin(() =>
          response(status.startsWith('304') ? '' : 'choices', head, status),
        )
        await using fetcher = await startFetcher()
        const responseCode = Number.parseInt(status, 10)
        const expected = { code: 'response.unexpected', text: status, retriable, responseCode }
        await assert.rejects(fetcher.fetch(origin.url), failure(expected))
        assert.equal(origin.heads.length, 1)
      })
    }

    it('takes an answer to the condition of a job, or to its range, for what it asked for', async () => {
      await using origin = await startRawOrigin((_, head) =>
        /range:/i.test(head)
          ? response('part', { 'Content-Range': 'bytes 3-6/9' }, '206 Partial Content')
          : response('', {}, '304 Not Modified'),
      )
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(origin.url, { headers: { Range: 'bytes=3-6' } }), 'part')
      for (const name of ['If-None-Match', 'if-modified-since']) {
        assert.equal(await fetcher.read(origin.url, { headers: { [name]: '"x"' } }), '')
      }
    })

    it('takes a part that is all there is', async () => {
      await using origin = await startRawOrigin(() =>
        response('whole', { 'Content-Range': 'bytes 0-4/5' }, '206 Partial Content'),
      )
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(origin.url), 'whole')
    })

    for (const status of ['204 No Content', '205 Reset Content']) {
      it(`takes ${status} for an empty file`, async () => {
        await using origin = await startRawOrigin(() => `HTTP/1.1 ${status}\r\nContent-Length: 0\r\n\r\n`)
        await using fetcher = await startFetcher()
        assert.equal(await fetcher.read(origin.url), '')
      })
    }
  })

  describe('request headers', () => {
    it('has a name of its own, and asks for encodings that it can undo', async () => {
      await using origin = await startRawOrigin(() => response(''))
      await using fetcher = await startFetcher()
      await fetcher.read(origin.url)
      assert.equal(header(origin.heads[0], 'user-agent'), 'downloader/1.0')
      assert.equal(header(origin.heads[0], 'accept-encoding'), 'gzip, deflate, br')
      assert.equal(header(origin.heads[0], 'host'), `127.0.0.1:${origin.port}`)
      assert.equal(header(origin.heads[0], 'authorization'), undefined)
    })

    it("prefers the job's to the configured ones, whatever their case", async () => {
      await using origin = await startRawOrigin(() => response(''))
      const request_headers = { 'User-Agent': 'configured', 'X-Kept': 'kept', 'x-number': 7 }
      await using fetcher = await startFetcher(FetchConfig.parse({ request_headers, allow_networks: ['127.0.0.1'] }))
      await fetcher.read(origin.url, { headers: { 'user-agent': 'first', 'USER-AGENT': 'last' } })
      const [head] = origin.heads
      assert.deepEqual(head?.match(/^user-agent:.*$/gim), ['USER-AGENT: last'])
      assert.equal(header(head, 'x-kept'), 'kept')
      assert.equal(header(head, 'x-number'), '7')
    })

    it('keeps the connection to itself', async () => {
      await using origin = await startRawOrigin(() => response('fine'))
      await using fetcher = await startFetcher()
      const headers = { host: 'other.test', Connection: 'close', 'content-length': '5', Expect: '100-continue' }
      assert.equal(await fetcher.read(origin.url, { headers }), 'fine')
      const [head] = origin.heads
      assert.equal(header(head, 'host'), `127.0.0.1:${origin.port}`)
      assert.equal(header(head, 'content-length'), undefined)
      assert.equal(header(head, 'expect'), undefined)
      assert.equal(header(head, 'connection'), 'keep-alive')
    })

    it('sends what is not ASCII as UTF-8', async () => {
      await using origin = await startRawOrigin(() => response(''))
      await using fetcher = await startFetcher()
      await fetcher.read(origin.url, { headers: { 'X-Name': 'Ζεύς' } })
      assert.equal(Buffer.from(header(origin.heads[0], 'x-name') ?? '', 'latin1').toString(), 'Ζεύς')
    })

    it('says that a header cannot be sent', async () => {
      await using fetcher = await startFetcher()
      const expected = { code: 'request.invalid', text: 'header', retriable: false, responseCode: 0 }
      await assert.rejects(fetcher.fetch('http://good.test/', { headers: { 'X-A': 'a\x01b' } }), failure(expected))
      await assert.rejects(fetcher.fetch('http://good.test/', { headers: { 'X A': 'b' } }), failure(expected))
    })

    it('sends the credentials of a URL as Basic authorization, and shows them nowhere', async () => {
      await using origin = await startRawOrigin((_, head) =>
        head.startsWith('GET /ok') ? response('in') : response('', {}, '401 Unauthorized'),
      )
      await using fetcher = await startFetcher()
      const at = `http://us%40er:p%C3%A4ss%@127.0.0.1:${origin.port}`
      const got = await fetcher.fetch(`${at}/ok`)
      assert.equal(got.url, `${origin.url}/ok`)
      assert.equal(await text(got), 'in')
      const basic = `Basic ${Buffer.from('us@er:p%C3%A4ss%').toString('base64')}`
      assert.equal(header(origin.heads[0], 'authorization'), basic) // a lone % : taken as it stands
      await assert.rejects(fetcher.fetch(`${at}/no`), (error: Error) => !/us@er|us%40er|p%C3/.test(error.message))
      await fetcher.read(`http://käse:brot@127.0.0.1:${origin.port}/ok`)
      const utf8 = `Basic ${Buffer.from('käse:brot').toString('base64')}`
      assert.equal(header(origin.heads.at(-1), 'authorization'), utf8)
    })

    it("lets the job's own Authorization win over the URL's credentials", async () => {
      await using origin = await startRawOrigin(() => response(''))
      await using fetcher = await startFetcher()
      await fetcher.read(`http://user:pass@127.0.0.1:${origin.port}/`, { headers: { authorization: 'Bearer x' } })
      assert.equal(header(origin.heads[0], 'authorization'), 'Bearer x')
    })
  })

  describe('URLs', () => {
    for (const url of ['', 'nonsense', '/path', 'http://', 'http://[::1', 'http://a b/']) {
      it(`says that ${JSON.stringify(url)} is none`, async () => {
        await using fetcher = await startFetcher()
        const expected = { code: 'request.invalid', text: 'URL', retriable: false, responseCode: 0 }
        await assert.rejects(fetcher.fetch(url), failure(expected))
      })
    }

    for (const url of [
      'file:///etc/passwd',
      'ftp://good.test/',
      'gopher://good.test/',
      'data:,x',
      'HTTPX://good.test',
    ]) {
      it(`refuses ${url}`, async () => {
        await using fetcher = await startFetcher()
        const expected = { code: 'guard.scheme', text: 'refused scheme', retriable: false, responseCode: 0 }
        await assert.rejects(fetcher.fetch(url), failure(expected))
      })
    }

    it('takes a scheme and a host in any case', async () => {
      await using origin = await startRawOrigin(() => response('fine'))
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(`HTTP://GOOD.test:${origin.port}`), 'fine')
    })
  })

  describe('when its signal aborts', () => {
    const reason = new Error('stop it')

    it('does nothing when it had before', async () => {
      await using origin = await startRawOrigin(() => response(''))
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(origin.url, {}, AbortSignal.abort(reason)), reason)
      assert.equal(origin.connections, 0)
    })

    it('closes the connection while it waits for the response', async () => {
      const controller = new AbortController()
      await using origin = await startRawOrigin(() => controller.abort(reason))
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(origin.url, {}, controller.signal), reason)
      await origin.idle()
    })

    it('closes the connection while the body is read', async () => {
      const controller = new AbortController()
      await using origin = await startRawOrigin(() => 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
      await using fetcher = await startFetcher()
      const { body } = await fetcher.fetch(origin.url, {}, controller.signal)
      const chunks = body[Symbol.asyncIterator]()
      await chunks.next()
      const next = chunks.next()
      controller.abort(reason)
      await assert.rejects(next, reason)
      await origin.idle()
    })

    it('rejects with the reason while a body is decoded, even one that is no Error', async () => {
      for (const reason of [new Error('stop it'), 'just stop']) {
        const controller = new AbortController()
        const head = 'HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 100\r\n\r\n'
        await using origin = await startRawOrigin(() => `${head}\x1f\x8b\x08`)
        await using fetcher = await startFetcher()
        const got = await fetcher.fetch(origin.url, { maxBytes: 1000 }, controller.signal)
        const reading = text(got)
        setImmediate(() => controller.abort(reason))
        await assert.rejects(reading, (error) => error === reason)
        await origin.idle()
      }
    })

    it('leaves no listener behind', async () => {
      await using origin = await startRawOrigin((_, head) =>
        response('', {}, head.startsWith('GET /no') ? '404 x' : '200 OK'),
      )
      await using fetcher = await startFetcher()
      const { signal } = new AbortController()
      let listeners = 0
      const counted: AbortSignal = Object.assign(signal, {
        addEventListener: (...args: Parameters<AbortSignal['addEventListener']>) => {
          listeners++
          EventTarget.prototype.addEventListener.apply(signal, args)
        },
        removeEventListener: (...args: Parameters<AbortSignal['removeEventListener']>) => {
          listeners--
          EventTarget.prototype.removeEventListener.apply(signal, args)
        },
      })
      await fetcher.read(origin.url, {}, counted)
      await assert.rejects(fetcher.fetch(`${origin.url}/no`, {}, counted))
      await assert.rejects(fetcher.fetch('http://nowhere.invalid/', {}, counted))
      assert.equal(listeners, 0)
    })
  })

  describe('a body that nobody wants', () => {
    it('is not downloaded', async () => {
      await using origin = await startRawOrigin((socket) => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        const pour = () => {
          while (socket.writable && socket.write(chunk('x'.repeat(16_000))));
        }
        socket.on('drain', pour)
        pour()
      })
      await using fetcher = await startFetcher()
      const got = await fetcher.fetch(origin.url)
      await got.discard()
      await got.discard()
      await origin.idle()
      assert.equal(await text(got), '')
    })

    it('is let go when its reader stops, decoded or not', async () => {
      await using origin = await startRawOrigin(() => 'HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nsome of it')
      await using fetcher = await startFetcher()
      for (const maxBytes of [0, 2_000_000]) {
        const { body } = await fetcher.fetch(origin.url, { maxBytes })
        for await (const _ of body) break
        await origin.idle()
      }
    })

    it('does not hold its connection for long when nothing comes', async () => {
      await using origin = await startRawOrigin(() => 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n')
      await using fetcher = await startFetcher()
      const { discard } = await fetcher.fetch(origin.url)
      await discard()
      await origin.idle()
    })
  })

  it('fails what runs when it is closed', async () => {
    await using origin = await startRawOrigin(() => undefined)
    const fetcher = await startFetcher()
    const waiting = fetcher.fetch(origin.url)
    await until(() => origin.heads.length > 0)
    await Promise.all([assert.rejects(waiting, { code: 'connect.failed' }), fetcher[Symbol.asyncDispose]()])
  })

  it('forgets origins that it has not used for long', async () => {
    await using origin = await startRawOrigin(() => response('hello'))
    const names = Array.from({ length: 300 }, (_, i) => `n${i}.test`)
    await using fetcher = await startFetcher({}, { names })
    for (const name of names) await fetcher.read(`http://${name}:${origin.port}/`)
    await until(() => origin.sockets.size <= 256)
    assert.equal(await fetcher.read(`http://n299.test:${origin.port}/`), 'hello')
    assert.equal(await fetcher.read(`http://n0.test:${origin.port}/`), 'hello')
  })
})

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`
}
