import assert from 'node:assert/strict'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { response, startRawOrigin } from '../../support/origin.ts'
import { failure, header, startFetcher, text, until } from './harness.ts'

const content = 'All human beings are born free and equal in dignity and rights. '.repeat(5000)

/** A response in Latin-1, as raw origins write it. */
function encoded(body: Buffer, encoding: string, headers: Record<string, string> = {}): string {
  return response(body.toString('latin1'), { 'Content-Encoding': encoding, ...headers })
}

describe('decoding', () => {
  for (const [encoding, body] of [
    ['gzip', gzipSync(content)],
    ['GZip', gzipSync(content)],
    ['x-gzip', gzipSync(content)],
    ['deflate', deflateSync(content)],
    ['deflate', deflateRawSync(content)],
    ['br', brotliCompressSync(content)],
    ['gzip, br', brotliCompressSync(gzipSync(content))],
    ['deflate,gzip , br', brotliCompressSync(gzipSync(deflateSync(content)))],
    ['gzip', Buffer.concat([gzipSync(content.slice(0, 1000)), gzipSync(content.slice(1000))])],
    ['identity', Buffer.from(content)],
    ['', Buffer.from(content)],
    ['utf-8', Buffer.from(content)],
    ['aws-chunked', Buffer.from(content)],
    ['constructor', Buffer.from(content)],
    ['identity, gzip', gzipSync(content)],
  ] as const) {
    it(`undoes ${encoding || 'an empty header'} (${body.length} bytes)`, async () => {
      await using origin = await startRawOrigin(() => encoded(body, encoding))
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(origin.url), content)
    })
  }

  it('undoes what comes byte by byte', async () => {
    const body = gzipSync('small')
    await using origin = await startRawOrigin((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${body.length}\r\n\r\n`)
      let sent = 0
      const timer = setInterval(() => {
        if (sent === body.length) clearInterval(timer)
        else socket.write(body.subarray(sent, ++sent))
      }, 2)
    })
    await using fetcher = await startFetcher()
    assert.equal(await fetcher.read(origin.url), 'small')
  })

  it('takes several headers for one list', async () => {
    const body = brotliCompressSync(gzipSync(content)).toString('latin1')
    const head = `HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: br\r\nContent-Length: ${body.length}\r\n\r\n`
    await using origin = await startRawOrigin(() => head + body)
    await using fetcher = await startFetcher()
    assert.equal(await fetcher.read(origin.url), content)
  })

  it('takes an empty body for empty content, whatever the header says', async () => {
    await using origin = await startRawOrigin((_, head) => encoded(Buffer.alloc(0), head.split(' ')[1]?.slice(1) ?? ''))
    await using fetcher = await startFetcher()
    for (const encoding of ['gzip', 'deflate', 'br', 'gzip,br']) {
      assert.equal(await fetcher.read(`${origin.url}/${encoding}`), '', encoding)
    }
  })

  it('leaves the connection for the next one', async () => {
    await using origin = await startRawOrigin(() => encoded(gzipSync(content), 'gzip'))
    await using fetcher = await startFetcher()
    for (let i = 0; i < 3; i++) assert.equal(await fetcher.read(origin.url), content)
    assert.equal(origin.connections, 1)
  })

  it('brings the encoded bytes to a job that asks for an encoding itself, or for a range', async () => {
    const body = gzipSync(content)
    await using origin = await startRawOrigin(() => encoded(body, 'gzip'))
    await using fetcher = await startFetcher()
    const asked = { 'accept-ENCODING': 'gzip' }
    assert.equal(await fetcher.read(origin.url, { headers: asked, maxBytes: body.length }), body.toString('latin1'))
    assert.equal(header(origin.heads[0], 'accept-encoding'), 'gzip')
    assert.equal(await fetcher.read(origin.url, { headers: { Range: 'bytes=0-' } }), body.toString('latin1'))
    assert.equal(header(origin.heads[1], 'accept-encoding'), undefined)
  })

  for (const encoding of ['gzip', 'deflate', 'br']) {
    const encode = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync }[encoding] ?? gzipSync

    it(`fails on ${encoding} that ends early`, async () => {
      const whole = encode(content)
      for (const length of [1, 5, whole.length >> 1, whole.length - 1]) {
        await using origin = await startRawOrigin(() => encoded(whole.subarray(0, length), encoding))
        await using fetcher = await startFetcher()
        const expected = { code: 'body.truncated', text: 'unexpected EOF', retriable: true, responseCode: 200 }
        await assert.rejects(fetcher.read(origin.url), failure(expected), `${length} of ${whole.length} bytes`)
      }
    })

    it(`fails on ${encoding} that is none`, async () => {
      await using origin = await startRawOrigin(() => encoded(Buffer.alloc(1000, 0xff), encoding))
      await using fetcher = await startFetcher()
      const expected = { code: 'body.encoding', text: `not valid ${encoding}`, retriable: true, responseCode: 200 }
      await assert.rejects(fetcher.read(origin.url), failure(expected))
    })

    it(`fails on ${encoding} whose connection ends early, for that reason`, async () => {
      const body = encode(content).toString('latin1')
      const head = `HTTP/1.1 200 OK\r\nContent-Encoding: ${encoding}\r\nContent-Length: ${body.length + 1}\r\n\r\n`
      await using origin = await startRawOrigin((socket) => {
        socket.end(head + body, 'latin1')
      })
      await using fetcher = await startFetcher()
      const expected = { code: 'body.truncated', text: 'unexpected EOF', retriable: true, responseCode: 200 }
      await assert.rejects(fetcher.read(origin.url), failure(expected))
    })
  }

  it('fails on gzip whose checksum is wrong', async () => {
    const body = gzipSync(content)
    body.writeUInt32LE(1, body.length - 8)
    await using origin = await startRawOrigin(() => encoded(body, 'gzip'))
    await using fetcher = await startFetcher()
    await assert.rejects(fetcher.read(origin.url), { code: 'body.encoding', retriable: true })
  })

  it('ignores what lies behind the end of the encoded data, and lets go of it', async () => {
    await using origin = await startRawOrigin((socket) => {
      const body = gzipSync('content')
      socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n`)
      socket.write(Buffer.concat([body, Buffer.alloc(1000)])) // and no more
    })
    await using fetcher = await startFetcher()
    assert.equal(await fetcher.read(origin.url), 'content')
    await origin.idle()
  })

  for (const [encoding, what] of [
    ['zstd', 'zstd'],
    ['gzip, compress', 'compress'],
    ['gzip, gzip, gzip, gzip', '4 content encodings'],
  ] as const) {
    it(`refuses ${encoding}, which nobody asked for`, async () => {
      await using origin = await startRawOrigin(() => encoded(gzipSync(content), encoding))
      await using fetcher = await startFetcher()
      const expected = { code: 'body.encoding', text: what, retriable: false, responseCode: 200 }
      await assert.rejects(fetcher.fetch(origin.url), failure(expected))
    })
  }

  describe('of bombs', () => {
    const bomb = (megabytes: number) => gzipSync(Buffer.alloc(megabytes << 20), { level: 9 })

    it('counts decoded bytes, and stops at the limit', async () => {
      const body = bomb(64)
      assert.ok(body.length < 100_000)
      await using origin = await startRawOrigin(() => encoded(body, 'gzip'))
      await using fetcher = await startFetcher()
      const { body: chunks } = await fetcher.fetch(origin.url, { maxBytes: 1_000_000 })
      let bytes = 0
      await assert.rejects(
        async () => {
          for await (const chunk of chunks) bytes += chunk.length
        },
        failure({ code: 'limit.bytes', text: '1000000 bytes', retriable: false, responseCode: 200 }),
      )
      assert.ok(bytes <= 1_000_000, `${bytes} bytes came out`)
    })

    it('does not refuse because of the encoded length, nor accept because of it', async () => {
      const body = gzipSync(content)
      await using origin = await startRawOrigin(() => encoded(body, 'gzip'))
      await using fetcher = await startFetcher()
      assert.equal((await fetcher.read(origin.url, { maxBytes: content.length })).length, content.length)
      await assert.rejects(fetcher.read(origin.url, { maxBytes: content.length - 1 }), { code: 'limit.bytes' })
    })

    it('decodes no faster than it is read', async () => {
      const body = gzipSync(bomb(256)) // a bomb in a bomb
      await using origin = await startRawOrigin(() => encoded(body, 'gzip, gzip'))
      await using fetcher = await startFetcher()
      const before = process.memoryUsage()
      const got = await fetcher.fetch(origin.url)
      const chunks = got.body[Symbol.asyncIterator]()
      for (let i = 0; i < 20; i++) await chunks.next()
      const after = process.memoryUsage()
      const grown = after.rss - before.rss
      assert.ok(grown < 64 << 20, `${grown >> 20} MB more`)
      await got.discard()
      await until(() => origin.sockets.size <= 1)
    })
  })

  it('lets go of the decoders when the rest is discarded', async () => {
    await using origin = await startRawOrigin(() => encoded(gzipSync(content), 'gzip', { 'content-length': '1000000' }))
    await using fetcher = await startFetcher()
    const got = await fetcher.fetch(origin.url)
    const chunks = got.body[Symbol.asyncIterator]()
    await chunks.next()
    await got.discard()
    assert.equal((await chunks.next()).done, true)
    await origin.idle()
    const unread = await fetcher.fetch(origin.url)
    await unread.discard()
    assert.equal(await text(unread), '')
    await origin.idle()
  })
})
