import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import fc from 'fast-check'
import { JobError } from '../../../src/jobs/errors.ts'
import { response, startCanary, startRawOrigin } from '../../support/origin.ts'
import { type Expected, failure, header, startFetcher, text, until } from './harness.ts'

const ok = 'HTTP/1.1 200 OK\r\n'

describe('the fetcher and hostile origins', () => {
  describe('connections', () => {
    it('says that one is refused', async () => {
      const origin = await startRawOrigin(() => undefined)
      await origin[Symbol.asyncDispose]() // nobody listens there any more
      await using fetcher = await startFetcher()
      const expected = { code: 'connect.refused', retriable: true, responseCode: 0 }
      const text = `connection refused by 127.0.0.1:${origin.port}`
      await assert.rejects(fetcher.fetch(origin.url), failure({ ...expected, text }))
    })

    it('says that all addresses of a name refuse it', async () => {
      const origin = await startRawOrigin(() => undefined)
      await origin[Symbol.asyncDispose]()
      await using fetcher = await startFetcher({ allow_networks: ['127.0.0.0/8'] })
      const text = `connection refused by both.test:${origin.port}`
      const expected = { code: 'connect.refused', text, retriable: true, responseCode: 0 }
      await assert.rejects(fetcher.fetch(`http://both.test:${origin.port}/`), failure(expected))
    })

    it('says that a name does not exist', async () => {
      await using fetcher = await startFetcher()
      const expected = { code: 'dns.not_found', text: 'nowhere.invalid', retriable: true, responseCode: 0 }
      await assert.rejects(fetcher.fetch('http://nowhere.invalid/'), failure(expected))
    })

    it('says how long it tried', async () => {
      await using silent = await startRawOrigin(() => undefined)
      await using fetcher = await startFetcher({ connect_timeout_ms: 200 })
      const expected = { code: 'connect.timeout', text: 'within 200 ms', retriable: true, responseCode: 0 }
      await assert.rejects(fetcher.fetch(`https://127.0.0.1:${silent.port}/`), failure(expected))
      await silent.idle()
    })

    it('gives up connecting when its signal aborts', async () => {
      await using silent = await startRawOrigin(() => undefined)
      await using fetcher = await startFetcher()
      const controller = new AbortController()
      const reason = new Error('stop it')
      const fetching = fetcher.fetch(`https://127.0.0.1:${silent.port}/`, {}, controller.signal)
      await until(() => silent.connections === 1)
      controller.abort(reason)
      await assert.rejects(fetching, reason)
      await silent.idle()
      assert.equal(silent.connections, 1)
    })
  })

  describe('the address guard', () => {
    const refused = { code: 'guard.private_address', retriable: false, responseCode: 0 }
    for (const host of [
      '127.0.0.1',
      '127.1',
      '2130706433',
      '0x7f000001',
      '0x7f.0x0.0x0.0x1',
      '017700000001',
      '0177.0.0.1',
      '127.0.0.1.',
      '0',
      'localhost',
      '[::1]',
      '[::ffff:127.0.0.1]',
      '[::ffff:7f00:1]',
      '[::7f00:1]',
      '[64:ff9b::127.0.0.1]',
      '[2002:7f00:1::1]',
    ]) {
      it(`opens no connection to ${host}`, async () => {
        await using canary = await startCanary()
        await using fetcher = await startFetcher({ allow_networks: [] })
        const at = `${host}:${canary.port}`
        await assert.rejects(fetcher.fetch(`http://${at}/`), failure({ ...refused, text: 'refused address: ' }))
        await assert.rejects(fetcher.fetch(`https://${at}/`), failure({ ...refused, text: 'refused address: ' }))
        assert.equal(canary.connections, 0)
      })
    }

    it('names the host and the address', async () => {
      await using fetcher = await startFetcher()
      const text = 'refused address: private.test (10.0.0.1) is private'
      await assert.rejects(fetcher.fetch('http://private.test/'), failure({ ...refused, text }))
    })
  })

  describe('responses', () => {
    const cases: Record<string, [answer: string, expected: Expected]> = {
      'closes without a word': ['', reset('closed the connection without a response')],
      'closes within the head': [`${ok}Content-Le`, reset('closed the connection without a response')],
      'speaks something else': ['SSH-2.0-OpenSSH_9.2p1\r\n', malformed()],
      'speaks HTTP/0.9': ['<html>hello</html>', malformed()],
      'sends a status that is none': ['HTTP/1.1 abc OK\r\n\r\n', malformed()],
      'sends a status below 100': ['HTTP/1.1 099 What\r\nContent-Length: 0\r\n\r\n', malformed()],
      'sends two different lengths': [`${ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`, malformed()],
      'sends a length and chunks': [
        `${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
        malformed(),
      ],
      // RFC 9112, section 6.3: whoever receives them may refuse them all
      'sends a length twice': [`${ok}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, malformed()],
      'sends a list of lengths': [`${ok}Content-Length: 3, 3\r\n\r\nabc`, malformed()],
      'sends a length that 64 bits do not hold': [`${ok}Content-Length: ${2n ** 64n + 3n}\r\n\r\nabc`, malformed()],
      'sends a size of a chunk that 64 bits do not hold': [
        `${ok}Transfer-Encoding: chunked\r\n\r\n${(2n ** 64n + 3n).toString(16)}\r\nabc\r\n0\r\n\r\n`,
        { ...malformed('Chunk size overflow'), responseCode: 200 },
      ],
      'sends a size of a chunk that is negative': [
        `${ok}Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n`,
        { ...malformed(), responseCode: 200 },
      ],
      'sends a negative length': [`${ok}Content-Length: -1\r\n\r\n`, malformed()],
      'sends a length that is no number': [`${ok}Content-Length: 1e3\r\n\r\n`, malformed()],
      'sends a header without a colon': [`${ok}nonsense\r\n\r\n`, malformed()],
      'continues what was not asked for': [`HTTP/1.1 100 Continue\r\n\r\n${response('late')}`, malformed()],
      'hints without end': ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(33), malformed('more than 32 informational')],
      'speaks HTTP/2': ['\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80', http2Only()],
      'sends a head of 100 kB': [`${ok}X: ${'x'.repeat(100_000)}\r\n\r\n`, tooManyHeaders(0, '65536 bytes')],
      'sends a trailer of 100 kB': [
        `${ok}Transfer-Encoding: chunked\r\n\r\n0\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
        tooManyHeaders(200, '65536 bytes'),
      ],
      'sends 1001 headers': [`${ok}${'a:b\r\n'.repeat(1001)}\r\n`, tooManyHeaders(200, '1000 lines')],
      'sends two lines of status': [`${ok}HTTP/1.1 200 OK\r\n\r\n`, malformed()],
      'ends a header with NUL': [`${ok}X: a\0b\r\n\r\n`, malformed()],
      'hides a header behind a carriage return': [`${ok}X: a\rContent-Length: 3\r\n\r\nabc`, malformed()],
    }
    for (const [what, [answer, expected]] of Object.entries(cases)) {
      it(`names it when an origin ${what}`, async () => {
        await using origin = await startRawOrigin((socket) => {
          socket.end(answer)
        })
        await using fetcher = await startFetcher()
        await assert.rejects(fetcher.read(origin.url), failure(expected))
        assert.equal(origin.connections, 1)
      })
    }

    it('ends a head that never ends', async () => {
      await using origin = await startRawOrigin((socket) => {
        socket.write(ok)
        const more = () => {
          while (socket.writable && socket.write(`X-${'y'.repeat(1000)}: z\r\n`));
        }
        socket.on('drain', more)
        more()
      })
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(origin.url), failure(tooManyHeaders(0, '65536 bytes')))
      await origin.idle()
    })

    it('names it when an origin switches protocols unasked', async () => {
      await using origin = await startRawOrigin(
        () => 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
      )
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(origin.url), failure(malformed()))
    })

    function reset(text: string): Expected {
      return { code: 'connect.reset', text, retriable: true, responseCode: 0 }
    }

    function malformed(text = 'is not HTTP'): Expected {
      return { code: 'response.malformed', text, retriable: true, responseCode: 0 }
    }

    function tooManyHeaders(responseCode: number, text: string): Expected {
      return { code: 'limit.headers', text: `sent more than ${text} of headers`, retriable: false, responseCode }
    }

    function http2Only(): Expected {
      return { code: 'response.http2_only', text: 'HTTP/2', retriable: false, responseCode: 0 }
    }
  })

  describe('bodies', () => {
    const truncated = { code: 'body.truncated', text: 'unexpected EOF', retriable: true, responseCode: 200 }
    for (const [what, answer] of Object.entries({
      'shorter than its length': `${ok}Content-Length: 10\r\n\r\nfour`,
      'shorter than its length, on a connection to be closed': `${ok}Connection: close\r\nContent-Length: 10\r\n\r\nfour`,
      'missing altogether': `${ok}Content-Length: 10\r\n\r\n`,
      'cut within a chunk': `${ok}Transfer-Encoding: chunked\r\n\r\na\r\nfour`,
      'cut between chunks': `${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\n`,
      'cut within a chunk, on a connection to be closed': `${ok}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfour`,
    })) {
      it(`fails on a body that is ${what}`, async () => {
        await using origin = await startRawOrigin((socket) => {
          socket.end(answer)
        })
        await using fetcher = await startFetcher()
        await assert.rejects(fetcher.read(origin.url), failure(truncated))
        assert.equal(origin.connections, 1)
      })
    }

    it('fails on a body whose connection is reset', async () => {
      await using origin = await startRawOrigin((socket) => {
        socket.write(`${ok}Content-Length: 10\r\n\r\nfour`, () => socket.resetAndDestroy())
      })
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.read(origin.url), failure(truncated))
    })

    it('keeps the status of a body that ends early', async () => {
      await using origin = await startRawOrigin((socket) => {
        socket.end('HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\n\r\nfour')
      })
      await using fetcher = await startFetcher()
      const headers = { Range: 'bytes=0-9' }
      await assert.rejects(fetcher.read(origin.url, { headers }), failure({ ...truncated, responseCode: 206 }))
    })

    it('tells broken chunks from missing ones', async () => {
      await using origin = await startRawOrigin(
        () => `${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nnonsense\r\n`,
      )
      await using fetcher = await startFetcher()
      const expected = { code: 'response.malformed', text: 'is not HTTP', retriable: true, responseCode: 200 }
      await assert.rejects(fetcher.read(origin.url), failure(expected))
    })

    for (const coding of ['gzip', 'gzip, chunked', 'chunked, identity']) {
      it(`refuses the transfer encoding ${coding}, which nobody asked for`, async () => {
        await using origin = await startRawOrigin((socket) => {
          socket.end(`${ok}Transfer-Encoding: ${coding}\r\n\r\n0\r\n\r\n`)
        })
        await using fetcher = await startFetcher()
        const expected = { code: 'body.encoding', text: coding, retriable: false, responseCode: 200 }
        await assert.rejects(fetcher.read(origin.url), failure(expected))
      })
    }

    it('leaves alone what comes behind a body', async () => {
      await using origin = await startRawOrigin(() => `${response('fine')}HTTP/1.1 200 OK\r\n\r\nsmuggled`)
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(`${origin.url}/1`), 'fine')
      assert.equal(await fetcher.read(`${origin.url}/2`), 'fine')
      assert.equal(origin.connections, 2)
    })
  })

  describe('timeouts', () => {
    it('waits for a head as long as it is told, by a clock that does not tick in seconds', async () => {
      await using origin = await startRawOrigin(() => undefined)
      await using fetcher = await startFetcher({ headers_timeout_ms: 200 })
      const begun = performance.now()
      const expected = { code: 'timeout.headers', text: 'within 200 ms', retriable: true, responseCode: 0 }
      await assert.rejects(fetcher.fetch(origin.url), failure(expected))
      const took = performance.now() - begun
      assert.ok(took >= 190 && took < 1000, `${took} ms`)
      await origin.idle()
      assert.equal(origin.connections, 1)
    })

    it('is not deceived by a head that drips, or by endless informational responses', async () => {
      for (const drip of ['X', 'HTTP/1.1 103 Early Hints\r\n\r\n']) {
        await using origin = await startRawOrigin((socket) => {
          if (drip === 'X') socket.write(ok)
          const timer = setInterval(() => socket.write(drip), 20)
          socket.on('close', () => clearInterval(timer))
        })
        await using fetcher = await startFetcher({ headers_timeout_ms: 200 })
        await assert.rejects(fetcher.fetch(origin.url), { code: 'timeout.headers' })
        await origin.idle()
      }
    })

    it('waits for a byte as long as it is told', async () => {
      await using origin = await startRawOrigin(() => `${ok}Content-Length: 10\r\n\r\nfour`)
      await using fetcher = await startFetcher({ stall_timeout_ms: 200 })
      const begun = performance.now()
      const expected = { code: 'timeout.stall', text: 'for 200 ms', retriable: true, responseCode: 200 }
      await assert.rejects(fetcher.read(origin.url), failure(expected))
      const took = performance.now() - begun
      assert.ok(took >= 190 && took < 1000, `${took} ms`)
      await origin.idle()
    })

    it('waits as long for the next byte of a body that is decoded', async () => {
      await using origin = await startRawOrigin(
        () => `${ok}Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n\x1f\x8b`,
      )
      await using fetcher = await startFetcher({ stall_timeout_ms: 200 })
      await assert.rejects(fetcher.read(origin.url), { code: 'timeout.stall' })
    })

    it('has patience with a body that drips, since that is for the total time to end', async () => {
      await using origin = await startRawOrigin((socket) => {
        socket.write(`${ok}Content-Length: 8\r\n\r\n`)
        let left = 8
        const timer = setInterval(() => {
          socket.write('x')
          if (--left === 0) clearInterval(timer)
        }, 100)
        socket.on('close', () => clearInterval(timer))
      })
      await using fetcher = await startFetcher({ stall_timeout_ms: 400 })
      assert.equal(await fetcher.read(origin.url), 'xxxxxxxx')
    })

    it('does not count the time that the reader takes', async () => {
      await using origin = await startRawOrigin((socket) => {
        socket.write(`${ok}Content-Length: 8\r\n\r\nfour`)
        setTimeout(() => socket.write('more'), 400)
      })
      await using fetcher = await startFetcher({ stall_timeout_ms: 250 })
      const { body } = await fetcher.fetch(origin.url)
      const chunks = body[Symbol.asyncIterator]()
      assert.equal(String((await chunks.next()).value), 'four')
      await new Promise((resolve) => setTimeout(resolve, 300)) // a slow disk
      assert.equal(String((await chunks.next()).value), 'more')
      assert.equal((await chunks.next()).done, true)
    })
  })

  describe('sizes', () => {
    const tooLarge = { code: 'limit.bytes', text: '1000 bytes', retriable: false, responseCode: 200 }

    it('refuses at once what says that it is too large', async () => {
      await using origin = await startRawOrigin(() => `${ok}Content-Length: 1000000\r\n\r\n`)
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(origin.url, { maxBytes: 1000 }), failure(tooLarge))
      await origin.idle()
    })

    it('stops a body that turns out to be too large', async () => {
      await using origin = await startRawOrigin((socket) => {
        socket.write(`${ok}Transfer-Encoding: chunked\r\n\r\n`)
        const pour = () => {
          while (socket.writable && socket.write(`3e8\r\n${'x'.repeat(1000)}\r\n`));
        }
        socket.on('drain', pour)
        pour()
      })
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.read(origin.url, { maxBytes: 1000 }), failure(tooLarge))
      await origin.idle()
    })

    it('lets pass what is exactly as large as it may be', async () => {
      await using origin = await startRawOrigin(() => response('x'.repeat(1000)))
      await using fetcher = await startFetcher()
      assert.equal((await fetcher.read(origin.url, { maxBytes: 1000 })).length, 1000)
      await assert.rejects(fetcher.read(origin.url, { maxBytes: 999 }), { code: 'limit.bytes' })
    })
  })

  describe('redirects', () => {
    const to = (location: string, status = '302 Found') => response('moved', { Location: location }, status)
    const path = (head: string) => head.split(' ')[1] ?? ''

    for (const status of ['301 Moved Permanently', '302 Found', '303 See Other', '307 Temporary', '308 Permanent']) {
      it(`follows ${status}`, async () => {
        await using origin = await startRawOrigin((_, head) =>
          path(head) === '/a' ? to('/b', status) : response('there'),
        )
        await using fetcher = await startFetcher()
        const got = await fetcher.fetch(`${origin.url}/a`)
        assert.equal(await text(got), 'there')
        assert.equal(got.url, `${origin.url}/b`)
        assert.equal(got.redirects, 1)
        assert.equal(origin.connections, 1, 'the second request uses the connection of the first')
      })
    }

    it('follows every way to write a Location', async () => {
      await using origin = await startRawOrigin((_, head) => {
        const next: Record<string, string> = {
          '/a/b?c': 'relative?x=y',
          '/a/relative?x=y': '?only=query',
          '/a/relative?only=query': '/absolute#fragment',
          '/absolute': `//good.test:${origin.port}/network`,
          '/network': '  /with spaces ',
          '/with%20spaces': Buffer.from('/grüße').toString('latin1'),
        }
        const location = next[path(head)]
        return location === undefined ? response('there') : to(location)
      })
      await using fetcher = await startFetcher()
      const got = await fetcher.fetch(`${origin.url}/a/b?c`)
      assert.equal(got.url, `http://good.test:${origin.port}/gr%C3%BC%C3%9Fe`)
      assert.equal(got.redirects, 6)
      await got.discard()
    })

    it('follows ten of them, and no more', async () => {
      await using origin = await startRawOrigin((_, head) => {
        const left = Number(path(head).slice(1))
        return left > 0 ? to(`/${left - 1}`) : response('there')
      })
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(`${origin.url}/10`), 'there')
      const before = origin.heads.length
      const expected = { code: 'redirect.too_many', text: '10 redirects', retriable: false, responseCode: 302 }
      await assert.rejects(fetcher.fetch(`${origin.url}/11`), failure(expected))
      assert.equal(origin.heads.length - before, 11)
    })

    it('ends a loop', async () => {
      await using origin = await startRawOrigin(() => to('/'))
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(origin.url), { code: 'redirect.too_many' })
    })

    for (const location of ['ftp://good.test/', 'file:///etc/passwd', 'javascript:alert(1)', 'data:,x']) {
      it(`does not follow to ${location}`, async () => {
        await using origin = await startRawOrigin(() => to(location))
        await using fetcher = await startFetcher()
        const expected = { code: 'guard.scheme', text: 'refused redirect', retriable: false, responseCode: 302 }
        await assert.rejects(fetcher.fetch(origin.url), failure(expected))
      })
    }

    it('says that a Location is no URL', async () => {
      await using origin = await startRawOrigin(() => to('http://[::1'))
      await using fetcher = await startFetcher()
      const expected = { code: 'redirect.invalid', text: 'not a URL', retriable: false, responseCode: 302 }
      await assert.rejects(fetcher.fetch(origin.url), failure(expected))
    })

    for (const host of [
      '127.0.0.2',
      '127.0.0.02',
      '2130706434',
      '[::1]',
      '[::ffff:127.0.0.2]',
      'localhost',
      'private.test',
    ]) {
      it(`judges where a redirect leads: ${host}`, async () => {
        await using canary = await startCanary()
        await using origin = await startRawOrigin(() => to(`http://${host}:${canary.port}/`))
        await using fetcher = await startFetcher()
        const expected = { code: 'guard.private_address', text: 'refused address', retriable: false, responseCode: 302 }
        await assert.rejects(fetcher.fetch(origin.url), failure(expected))
        assert.equal(canary.connections, 0)
      })
    }

    it('keeps the status of the redirect when nothing comes after it', async () => {
      const gone = await startRawOrigin(() => undefined)
      await gone[Symbol.asyncDispose]()
      await using silent = await startRawOrigin(() => undefined)
      await using origin = await startRawOrigin((_, head) => to(path(head) === '/gone' ? gone.url : silent.url))
      await using fetcher = await startFetcher({ headers_timeout_ms: 200 })
      await assert.rejects(fetcher.fetch(`${origin.url}/gone`), { code: 'connect.refused', responseCode: 302 })
      await assert.rejects(fetcher.fetch(`${origin.url}/slow`), { code: 'timeout.headers', responseCode: 302 })
    })

    it('keeps credentials and headers of its own on their origin, and drops on every other what is not to go there', async () => {
      await using other = await startRawOrigin((_, head) =>
        path(head) === '/back' ? to(`${origin.url}/end`) : response(''),
      )
      await using origin = await startRawOrigin((_, head) => {
        if (path(head) === '/same') return to('/away')
        if (path(head) === '/away') return to(`http://127.0.0.1:${other.port}/back`)
        return response('there')
      })
      await using fetcher = await startFetcher({ redirect_headers: ['x-PUBLIC'] })
      const headers = {
        Authorization: 'Bearer secret',
        COOKIE: 'a=b',
        'X-Api-Key': 'k',
        'X-Public': 'yes',
        Accept: 'image/*',
      }
      assert.equal(await fetcher.read(`${origin.url}/same`, { headers }), 'there')
      const [same, away, end] = origin.heads
      const [back] = other.heads
      for (const head of [same, away]) {
        assert.equal(header(head, 'authorization'), 'Bearer secret')
        assert.equal(header(head, 'cookie'), 'a=b')
        assert.equal(header(head, 'x-api-key'), 'k')
      }
      for (const head of [back, end]) {
        assert.equal(header(head, 'authorization'), undefined)
        assert.equal(header(head, 'cookie'), undefined)
        assert.equal(header(head, 'x-api-key'), undefined)
        assert.equal(header(head, 'x-public'), 'yes')
        assert.equal(header(head, 'accept'), 'image/*')
        assert.equal(header(head, 'user-agent'), 'downloader/1.0')
      }
    })

    it('keeps the credentials of a URL on its origin, and uses those of a Location', async () => {
      await using other = await startRawOrigin(() => response('there'))
      await using origin = await startRawOrigin((_, head) => {
        if (path(head) === '/1') return to('/2')
        if (path(head) === '/2') return to(`http://other:word@127.0.0.1:${other.port}/3`)
        return response('')
      })
      await using fetcher = await startFetcher()
      const got = await fetcher.fetch(`http://user:pass@127.0.0.1:${origin.port}/1`)
      assert.equal(await text(got), 'there')
      assert.equal(got.url, `${other.url}/3`)
      const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`
      assert.deepEqual(
        origin.heads.map((head) => header(head, 'authorization')),
        [basic('user:pass'), basic('user:pass')],
      )
      assert.equal(header(other.heads[0], 'authorization'), basic('other:word'))
    })

    it('does not download the bodies of redirects', async () => {
      await using large = await startRawOrigin((socket) => {
        socket.write(`HTTP/1.1 302 Found\r\nLocation: ${origin.url}\r\nContent-Length: 1000000000\r\n\r\n`)
        const pour = () => {
          while (socket.writable && socket.write(Buffer.alloc(65_536)));
        }
        socket.on('drain', pour)
        pour()
      })
      await using origin = await startRawOrigin(() => response('there'))
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(large.url), 'there')
      await large.idle()
    })

    it('stops between two hops when its signal aborts', async () => {
      const controller = new AbortController()
      const reason = new Error('stop it')
      await using origin = await startRawOrigin((_, head) => {
        if (path(head) === '/3') controller.abort(reason)
        return to(`/${Number(path(head).slice(1)) + 1}`)
      })
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(`${origin.url}/1`, {}, controller.signal), reason)
    })
  })

  it('ends in content or in a failure with a name, whatever an origin writes', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'HTTP/1.1 200 OK\r\n',
        'HTTP/1.0 200\r\n',
        'HTTP/1.1 302 Found\r\n',
        'HTTP/1.1 100 Continue\r\n\r\n',
        'HTTP/1.1 103 Early Hints\r\n\r\n',
        'HTTP/1.1 500 Oops\r\n',
        'Content-Length: 5\r\n',
        'Content-Length: 50\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Content-Encoding: gzip\r\n',
        'Content-Encoding: deflate, br\r\n',
        'Connection: close\r\n',
        'Location: /next\r\n',
        'Location: \r\n',
        '\r\n',
        '5\r\nhello\r\n',
        '0\r\n\r\n',
        'hello',
        '\x1f\x8b\x08\x00\x00',
      ),
      fc.string({ unit: 'binary-ascii', maxLength: 8 }),
    )
    let answer = ''
    await using origin = await startRawOrigin((socket) => {
      socket.end(answer, 'latin1')
    })
    await using fetcher = await startFetcher({ headers_timeout_ms: 500, stall_timeout_ms: 500 })
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
        answer = pieces.join('')
        const failed = await fetcher.read(origin.url, { maxBytes: 1000 }).then(
          () => undefined,
          (error: unknown) => error,
        )
        assert.ok(failed === undefined || failed instanceof JobError, `${failed}`)
        assert.doesNotMatch(failed?.code ?? '', /^(internal|connect\.failed|request\.invalid)$/)
      }),
      { numRuns: 500 },
    )
    await origin.idle()
  })

  it('survives an origin that stops listening while hundreds connect', async () => {
    const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    await until(() => server.listening)
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    await using fetcher = await startFetcher()
    const fetches = Array.from({ length: 200 }, () => fetcher.fetch(`http://127.0.0.1:${address.port}/`))
    server.close()
    for (const result of await Promise.allSettled(fetches)) {
      assert.ok(result.status === 'rejected')
      assert.match(result.reason.code, /^connect\.(reset|refused)$/)
    }
  })
})
