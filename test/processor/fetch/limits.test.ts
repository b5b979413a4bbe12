import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { brotliCompressSync, createGzip, deflateSync, gzipSync } from 'node:zlib'
import { response, startRawOrigin } from '../../support/origin.ts'
import { failure, startFetcher } from './harness.ts'
import { startProxy } from './proxy-server.ts'

const head = 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n'

describe('the least speed of a body', () => {
  /** Writes `bytes` every `everyMs`, for ever. */
  const dripping = (bytes: number, everyMs: number) =>
    startRawOrigin((socket) => {
      socket.write(head)
      const timer = setInterval(() => socket.write('x'.repeat(bytes)), everyMs)
      socket.on('close', () => clearInterval(timer))
    })
  const gentle = { min_bytes_per_s: 100, min_speed_window_s: 0.5 }
  const slow = { code: 'timeout.slow', retriable: true, responseCode: 200 }

  it('ends one that drips, and says how fast it was', async () => {
    await using origin = await dripping(1, 50)
    await using fetcher = await startFetcher(gentle)
    const begun = performance.now()
    await assert.rejects(fetcher.read(origin.url), (error) => {
      failure({ ...slow, text: 'over 0.5 s, 100 bytes/s at least are waited for' })(error)
      const [, figure] = /sent (\d+) bytes\/s/.exec(String(error)) ?? []
      assert.ok(Number(figure) > 5 && Number(figure) < 25, String(error))
      return true
    })
    const took = performance.now() - begun
    assert.ok(took > 490 && took < 1500, `${took} ms`)
    await origin.idle()
  })

  it('is judged by what travels, not by what is made of it', async () => {
    const gzip = createGzip()
    await using origin = await startRawOrigin((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n')
      gzip.on('data', (piece) => socket.write(piece))
      const timer = setInterval(() => {
        gzip.write('x'.repeat(10_000))
        gzip.flush()
      }, 250)
      socket.on('close', () => clearInterval(timer))
    })
    await using fetcher = await startFetcher({ ...gentle, min_bytes_per_s: 500 })
    await assert.rejects(fetcher.read(origin.url), { code: 'timeout.slow' })
  })

  it('does not end one that is slow, but not as slow', async () => {
    await using origin = await startRawOrigin(async (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n')
      for (let i = 0; i < 20; i++) {
        socket.write('x'.repeat(50))
        await delay(50)
      }
    })
    await using fetcher = await startFetcher({ min_bytes_per_s: 100, min_speed_window_s: 0.2 })
    assert.equal((await fetcher.read(origin.url)).length, 1000)
  })

  it('does not end a short body that took its time', async () => {
    await using origin = await startRawOrigin(async (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1')
      await delay(300)
      socket.write('2')
    })
    await using fetcher = await startFetcher(gentle)
    assert.equal(await fetcher.read(origin.url), '12')
  })

  it('does not count the time that our own disk takes', async () => {
    await using origin = await startRawOrigin((socket) => {
      socket.write(`${head}${'x'.repeat(10)}`)
      const timer = setInterval(() => socket.write('x'.repeat(10)), 10)
      socket.on('close', () => clearInterval(timer))
    })
    await using fetcher = await startFetcher({ min_bytes_per_s: 500, min_speed_window_s: 0.2 })
    const { body, discard } = await fetcher.fetch(origin.url)
    const chunks = body[Symbol.asyncIterator]()
    for (let i = 0; i < 10; i++) {
      await chunks.next()
      await delay(100) // a window takes two of these, were they counted: 10 bytes each
    }
    await discard()
  })

  it('holds through a proxy, too: who of the two is slow cannot be known', async () => {
    await using origin = await dripping(1, 50)
    await using proxy = await startProxy()
    await using fetcher = await startFetcher(gentle)
    const url = `http://good.test:${origin.port}/`
    await assert.rejects(fetcher.read(url, { proxy: proxy.url }), failure({ ...slow, text: 'bytes/s' }))
  })

  it('is none where the configuration says 0', async () => {
    await using origin = await startRawOrigin(async (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n')
      for (const byte of '1234') {
        await delay(50)
        socket.write(byte)
      }
    })
    await using fetcher = await startFetcher({ min_bytes_per_s: 0, min_speed_window_s: 0.06 })
    assert.equal(await fetcher.read(origin.url), '1234')
  })
})

describe('the density of an encoded body', () => {
  const zeros = (mib: number) => Buffer.alloc(mib * 1024 * 1024)
  const encoded = (body: Buffer, encoding: string) =>
    response(body.toString('latin1'), { 'Content-Encoding': encoding })
  const bombs: Record<string, Buffer> = {
    gzip: gzipSync(zeros(40)),
    deflate: deflateSync(zeros(40)),
    br: brotliCompressSync(zeros(40)),
    'gzip, gzip': gzipSync(gzipSync(zeros(40))),
    'br, gzip, deflate': deflateSync(gzipSync(brotliCompressSync(zeros(40)))),
  }
  for (const [encoding, body] of Object.entries(bombs)) {
    it(`ends a bomb in ${encoding} (${body.length} bytes)`, async () => {
      await using origin = await startRawOrigin(() => encoded(body, encoding))
      await using fetcher = await startFetcher()
      let bytes = 0
      const reading = (async () => {
        for await (const chunk of (await fetcher.fetch(origin.url)).body) bytes += chunk.length
      })()
      const text = 'decodes to more than max_decode_ratio allows: 200 times its bytes'
      await assert.rejects(reading, failure({ code: 'limit.ratio', text, retriable: false, responseCode: 200 }))
      assert.ok(bytes <= 17 * 1024 * 1024, `${bytes} bytes came through`)
    })
  }

  it('is free for what is small, and as high as the configuration says', async () => {
    await using origin = await startRawOrigin((_, head) =>
      encoded(gzipSync(zeros(head.startsWith('GET /small') ? 16 : 20)), 'gzip'),
    )
    await using fetcher = await startFetcher()
    assert.equal((await fetcher.read(`${origin.url}/small`)).length, 16 * 1024 * 1024)
    await assert.rejects(fetcher.read(`${origin.url}/large`), { code: 'limit.ratio' })
    await using patient = await startFetcher({ max_decode_ratio: 0 })
    assert.equal((await patient.read(`${origin.url}/large`)).length, 20 * 1024 * 1024)
  })
})
