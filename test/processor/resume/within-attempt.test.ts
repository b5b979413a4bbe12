import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { PNG } from '../../support/samples.ts'
import { serve } from '../../support/versions.ts'
import { failure } from '../fetch/harness.ts'
import { fileOf, MiB, rangesOf, serving, sha256, startWorkshop, type Workshop } from './harness.ts'

const DAY = 'Mon, 02 Feb 2026 10:00:00 GMT'
const SECOND_LATER = 'Mon, 02 Feb 2026 10:00:01 GMT'

describe('a transfer that breaks', () => {
  let shop: Workshop
  before(async () => {
    shop = await startWorkshop({ stall_timeout_ms: 200 })
  })
  after(() => shop[Symbol.asyncDispose]())
  afterEach(async () => {
    await shop.processor({ isWanted: async () => false }).partials.sweep() // of the attempts that failed
    assert.deepEqual(await shop.left(), [])
  })

  const cut = { cutAfter: 2 * MiB + 77 }
  const truncated = failure({ code: 'body.truncated', text: 'unexpected EOF', retriable: true, responseCode: 200 })

  it('goes on where it was: of 100 MB, cut at 20 random places, hardly a byte comes twice', async () => {
    const file = fileOf(100e6)
    const places = Array.from({ length: 20 }, () => 1 + Math.floor(Math.random() * 99.9e6)).sort((a, b) => a - b)
    const cuts = places.map((place, i) => ({ cutAfter: place - (places[i - 1] ?? 0) }))
    const path = serving(shop.origin, file, ...cuts, {})
    const { size, sha256: digest, responseCode } = await shop.processor().attempt(path.url)
    assert.deepEqual({ size, digest, responseCode }, { size: 100e6, digest: sha256(file.body), responseCode: 200 })
    assert.equal(path.requests.length, 21)
    assert.ok(path.sent <= 1.05 * 100e6, `${path.sent} bytes for ${places}`)
    const conditions = path.requests.map(({ headers }) => headers['if-range'])
    assert.deepEqual([...new Set(conditions)], [undefined, file.headers.etag])
  })

  it('goes on when it has stalled, and with the type that its first bytes have', async () => {
    const file = fileOf(3 * MiB)
    PNG.copy(file.body)
    const path = serving(shop.origin, file, { stallAfter: 2 * MiB }, {})
    const { sha256: digest, mimeType } = await shop.processor().attempt(path.url, { request: { mimeType: 'image/*' } })
    assert.deepEqual([digest, mimeType], [sha256(file.body), 'image/png'])
    assert.deepEqual(rangesOf(path), [undefined, `bytes=${2 * MiB}-`])
    assert.deepEqual(await shop.left(), [])
  })

  it('asks for the rest as it asked for the whole, through the same redirects, but for nothing that is encoded', async () => {
    const file = fileOf(3 * MiB)
    const path = serving(shop.origin, file, cut, {})
    let redirects = 0
    const url = shop.origin.on('/signing', (_request, response) => {
      response.writeHead(302, { location: `${path.url}?signature=${++redirects}` }).end()
    })
    const { sha256: digest } = await shop.processor().attempt(url, { request: { requestHeaders: { 'X-Key': 'k' } } })
    assert.equal(digest, sha256(file.body))
    assert.equal(redirects, 2)
    const encodings = path.requests.map(({ headers }) => [headers['x-key'], headers['accept-encoding']])
    assert.deepEqual(encodings, [
      ['k', 'gzip, deflate, br'],
      ['k', 'identity'],
    ])
  })

  it('goes on by a date that is a second older than the response', async () => {
    const file = fileOf(3 * MiB, { 'last-modified': DAY, date: SECOND_LATER })
    const path = serving(shop.origin, file, cut, {})
    assert.equal((await shop.processor().attempt(path.url)).sha256, sha256(file.body))
    assert.equal(path.requests[1]?.headers['if-range'], DAY)
  })

  const weak: Record<string, Record<string, string>> = {
    'no validator': {},
    'a weak entity tag': { etag: 'W/"1"' },
    'a weak entity tag, whatever the date': { etag: 'W/"1"', 'last-modified': DAY, date: SECOND_LATER },
    'an entity tag without quotes': { etag: '1' },
    'an empty entity tag': { etag: '""' },
    'a date as young as the response': { 'last-modified': DAY, date: DAY },
    'a date in another form': { 'last-modified': 'Monday, 02-Feb-26 10:00:00 GMT', date: SECOND_LATER },
    'no ranges': { etag: '"1"', 'accept-ranges': 'none' },
    'an encoding that was undone': { etag: '"1"', 'content-encoding': 'gzip' },
  }
  for (const [what, headers] of Object.entries(weak)) {
    it(`begins anew with the next attempt where the origin offers ${what}`, async () => {
      const file = fileOf(3 * MiB, headers)
      const content = file.body
      if (headers['content-encoding']) file.body = gzipSync(content)
      const path = serving(shop.origin, file, cut, {})
      const processor = shop.processor()
      const id = 'BBBBBBBBBBBBBB'
      await assert.rejects(processor.attempt(path.url, { id }), truncated)
      assert.deepEqual(await shop.left(), [])
      assert.equal((await processor.attempt(path.url, { id })).sha256, sha256(content))
      assert.deepEqual(rangesOf(path), [undefined, undefined])
    })
  }

  it('begins anew with the next attempt where the job itself asks for a part, or on a condition', async () => {
    for (const header of [
      'Range',
      'If-Range',
      'If-None-Match',
      'If-Match',
      'If-Modified-Since',
      'If-Unmodified-Since',
    ]) {
      const path = serving(shop.origin, fileOf(3 * MiB), cut)
      await assert.rejects(
        shop.processor().attempt(path.url, { request: { requestHeaders: { [header]: 'x' } } }),
        truncated,
      )
      assert.equal(path.requests.length, 1)
    }
  })

  it('begins anew where it is told not to resume', async () => {
    const path = serving(shop.origin, fileOf(3 * MiB), cut)
    await assert.rejects(shop.processor({ resume: false }).attempt(path.url), truncated)
    assert.equal(path.requests.length, 1)
  })

  type Answer = (request: IncomingMessage, response: ServerResponse) => unknown
  const file = fileOf(3 * MiB)
  const etag = file.headers.etag ?? ''
  const rest = file.body.subarray(cut.cutAfter)
  const range = `bytes ${cut.cutAfter}-${file.body.length - 1}/${file.body.length}`
  const part =
    (headers: Record<string, string>, body = rest): Answer =>
    (_request, response) =>
      void response.writeHead(206, { 'content-range': range, etag, ...headers }).end(body)
  const lies: Record<string, Answer> = {
    'of another range': part({ 'content-range': range.replace('bytes ', 'bytes 1') }),
    'of a range before': part({ 'content-range': `bytes 0-${file.body.length - 1}/${file.body.length}` }, file.body),
    'of a file of another size': part({ 'content-range': `${range}0` }),
    'of a file of unknown size': part({ 'content-range': range.replace(/\d+$/, '*') }),
    'beyond the end': part({ 'content-range': range.replace('/', '0/') }),
    'of another version': part({ etag: '"another"' }),
    'with a weak validator': part({ etag: `W/${etag}` }),
    'in an encoding': part({ 'content-encoding': 'gzip' }, gzipSync(rest)),
    'in an encoding that nobody knows': part({ 'content-encoding': 'zstd' }),
    'without a validator': (_request, response) => response.writeHead(206, { 'content-range': range }).end(rest),
    'without a range': (_request, response) => response.writeHead(206, { etag }).end(rest),
    'in many parts': (_request, response) =>
      response.writeHead(206, { etag, 'content-type': 'multipart/byteranges; boundary=x' }).end('--x--'),
    'of another place': (_request, response) => response.writeHead(302, { location: elsewhere() }).end(),
    'for which there is an error (416)': (_request, response) => response.writeHead(416).end(),
    'for which there is an error (403)': (_request, response) => response.writeHead(403).end(),
  }
  const elsewhere = () => shop.origin.on('/elsewhere', (request, response) => serve(request, response, file))
  for (const [what, lie] of Object.entries(lies)) {
    it(`begins anew at once when it gets a rest ${what}`, async () => {
      const path = serving(shop.origin, file, cut, lie, {})
      assert.equal((await shop.processor().attempt(path.url)).sha256, sha256(file.body))
      assert.deepEqual(rangesOf(path), [undefined, `bytes=${cut.cutAfter}-`, undefined])
    })
  }

  it('begins anew at once with another version, whose digest it has then', async () => {
    const [one, two] = [fileOf(3 * MiB), fileOf(4 * MiB)]
    const path = serving(
      shop.origin,
      one,
      cut,
      (request, response) => serve(request, response, two, cut),
      (request, response) => serve(request, response, two),
    )
    const { sha256: digest, size } = await shop.processor().attempt(path.url)
    assert.deepEqual([digest, size], [sha256(two.body), two.body.length])
    assert.deepEqual(rangesOf(path), [undefined, `bytes=${cut.cutAfter}-`, `bytes=${cut.cutAfter}-`])
    assert.equal(path.requests[2]?.headers['if-range'], two.headers.etag)
    assert.deepEqual(await shop.left(), [])
  })

  it('ends where every answer is of another version', async () => {
    const path = serving(shop.origin, file, (request, response) => serve(request, response, fileOf(3 * MiB), cut))
    await assert.rejects(shop.processor().attempt(path.url), truncated)
    assert.equal(path.requests.length, 3)
  })

  it('goes on with less than it asked for, and takes no more', async () => {
    const less = range.replace(/-\d+/, `-${cut.cutAfter + 9}`)
    const path = serving(shop.origin, file, cut, part({ 'content-range': less }, rest.subarray(0, 10)), {})
    assert.equal((await shop.processor().attempt(path.url)).sha256, sha256(file.body))
    assert.equal(rangesOf(path)[2], `bytes=${cut.cutAfter + 10}-`)

    const more = serving(shop.origin, file, cut, part({}, Buffer.concat([rest, rest])))
    const malformed = { code: 'response.malformed', text: 'more than it said', retriable: true, responseCode: 206 }
    await assert.rejects(shop.processor().attempt(more.url), failure(malformed))
  })

  it('has patience with an origin that gives little, but no endless one', async () => {
    const drops = serving(shop.origin, file, { cutAfter: 100_000 })
    const ended = failure({ code: 'body.truncated', text: 'unexpected EOF', retriable: true, responseCode: 206 })
    await assert.rejects(shop.processor().attempt(drops.url), ended)
    assert.equal(drops.requests.length, 17)

    const reset = failure({ code: 'connect.reset', text: 'without a response', retriable: true, responseCode: 200 })
    const silent = serving(shop.origin, file, { cutAfter: 100_000 }, (request) => request.socket.destroy())
    await assert.rejects(shop.processor().attempt(silent.url), reset)
    assert.equal(silent.requests.length, 5)
  })

  it('ends with what the origin says instead of the rest', async () => {
    const path = serving(shop.origin, file, { cutAfter: 100_000 }, (_request, response) =>
      response.writeHead(503, { 'retry-after': '7' }).end(),
    )
    await assert.rejects(shop.processor().attempt(path.url), { code: 'http.503', retryAfterMs: 7000 })
    assert.equal(path.requests.length, 2)
  })

  it('ends with its job: the signal counts also while it waits to ask again', async () => {
    const stop = new AbortController()
    const path = serving(shop.origin, file, { cutAfter: 100_000 }, (request) => {
      request.socket.destroy()
      setTimeout(() => stop.abort(new Error('stop')), 50)
    })
    await assert.rejects(shop.processor().attempt(path.url, { signal: stop.signal }), /^Error: stop$/)
    assert.equal(path.requests.length, 2)
  })
})
