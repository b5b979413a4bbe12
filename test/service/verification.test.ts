import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import type { Callback } from '../../src/jobs/callback.ts'
import { archiveOfBombs, bytes, jpeg, png, segment } from '../processor/verify/builders.ts'
import { media } from '../processor/verify/media.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

/** More than stays in memory, and than is looked at for the type. */
const LARGE = Buffer.alloc(700_000, 'It was a bright cold day in April.\n')

const digest = (algorithm: string, content: Buffer | string) => createHash(algorithm).update(content).digest('hex')

/** What a receiver learns of a job whose file is not wanted. */
function assertRefused(callback: Callback, code: string, error: RegExp) {
  assert.deepEqual([callback.success, callback.error_code, callback.response_code], [false, code, 200])
  assert.match(callback.error, error)
  assert.doesNotMatch(callback.error, /mime-type/) // clients take that for the type check
  assert.deepEqual([callback.download_url, callback.size, callback.sha256], ['', 0, ''])
}

describe('the verification of a file', () => {
  let service: Service
  let origin: Origin
  before(async () => {
    origin = await startOrigin()
    service = await startService({
      roles: ['start'],
      config: { processor: { max_retries: 1, max_bytes: 1_000_000, max_pixels: 100_000_000 } },
    })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  const askedFor = (path: string) => origin.requests.filter(({ url }) => url === path).length

  it('finds types of every kind, also those that are found in a thread of their own', async () => {
    const files = {
      'sample.gif': 'image/gif',
      'sample.webm': 'video/webm',
      'sample.3gp': 'video/3gpp',
      'hello.txt.xz': 'application/x-xz',
    }
    for (const [name, type] of Object.entries(files)) {
      const callback = await service.download({ url: origin.on(`/${name}`, media(name)), mime_type: type })
      assert.deepEqual([callback.success, callback.mime_type], [true, type], callback.error)
    }
  })

  it('is not held up by a file whose type costs much to find', async () => {
    const url = origin.on('/bombs', Buffer.concat([bytes('ID3\x03\0\0\0\0\0\0'), archiveOfBombs()]))
    const asked = await Promise.all(Array.from({ length: 20 }, () => service.enqueue({ url, aggr_id: 'hostile' })))
    assert.equal((await service.download({ url: origin.on('/beside', PNG), mime_type: 'image/png' })).success, true)
    const callbacks = await Promise.all(asked.map((id) => service.receiver.callbackOf(id)))
    for (const { success, mime_type } of callbacks) assert.deepEqual([success, mime_type], [true, 'audio/mpeg'])
  })

  describe('by its checksum', () => {
    for (const algorithm of ['sha256', 'sha512', 'sha1', 'md5']) {
      it(`accepts what has the ${algorithm} that was expected`, async () => {
        for (const [name, content] of Object.entries({ small: PNG, large: LARGE, empty: Buffer.alloc(0) })) {
          const url = origin.on(`/${algorithm}/${name}`, content)
          const checksum = `${algorithm}:${digest(algorithm, content)}`
          const callback = await service.download({
            url,
            checksum: name === 'small' ? checksum.toUpperCase() : checksum,
          })
          assert.deepEqual([callback.success, callback.error], [true, ''], name)
          assert.deepEqual([callback.sha256, callback.size], [digest('sha256', content), content.length], name)
        }
      })
    }

    it('fails what has another, after the retries, and keeps nothing of it', async () => {
      for (const [path, content] of Object.entries({ '/other-small': PNG, '/other-large': LARGE })) {
        const url = origin.on(path, content)
        const callback = await service.download({ url, checksum: `sha256:${'0'.repeat(64)}` })
        const found = digest('sha256', content)
        assertRefused(
          callback,
          'verify.checksum',
          new RegExp(`Expected sha256 to be \\(0{64}\\), found \\(${found}\\)`),
        )
        assert.equal(callback.mime_type, path === '/other-small' ? 'image/png' : 'text/plain')
        assert.equal(askedFor(path), 2)
        assert.deepEqual(await readdir(service.tempDir), [])
      }
    })

    it('accepts what comes whole the next time', async () => {
      let times = 0
      const url = origin.on('/damaged-once', (_request, response) => {
        times++
        response.end(times === 1 ? 'damaged' : 'whole')
      })
      const callback = await service.download({ url, checksum: `sha1:${digest('sha1', 'whole')}` })
      assert.deepEqual([callback.success, callback.size, times], [true, 5, 2])
    })
  })

  describe("by the job's own limit on bytes", () => {
    it('accepts what is as large as that', async () => {
      const url = origin.on('/ten', '0123456789')
      assert.equal((await service.download({ url, max_bytes: 10 })).success, true)
    })

    it('refuses by its Content-Length what is larger, before it comes', async () => {
      let closed: Promise<unknown> | undefined
      const url = origin.on('/announced', (_request, response) => {
        closed = new Promise((resolve) => response.once('close', resolve))
        response.writeHead(200, { 'content-length': 500_000 }).write('a')
      })
      const callback = await service.download({ url, max_bytes: 10 })
      assertRefused(callback, 'limit.bytes', /500000 bytes is more than max_bytes allows: 10 bytes/)
      assert.equal(askedFor('/announced'), 1)
      await closed
    })

    it('refuses what turns out larger, while it comes', async () => {
      let closed: Promise<unknown> | undefined
      const url = origin.on('/endless', (_request, response) => {
        closed = new Promise((resolve) => response.once('close', resolve))
        const more = () => {
          while (!response.destroyed && response.write(LARGE));
        }
        response.on('drain', more)
        more()
      })
      const callback = await service.download({ url, max_bytes: 300_000 })
      assertRefused(callback, 'limit.bytes', /the body is more than max_bytes allows: 300000 bytes/)
      await closed
    })

    it("cannot lift the deployment's", async () => {
      const url = origin.on('/above-the-deployments', (_request, response) => {
        response.writeHead(200, { 'content-length': 1_000_001 }).write('a')
      })
      const callback = await service.download({ url, max_bytes: 2_000_000 })
      assertRefused(callback, 'limit.bytes', /1000001 bytes is more than max_bytes allows: 1000000 bytes/)
    })
  })

  describe('by its pixels', () => {
    const size = async (path: string, image: Buffer, job: Record<string, unknown>) =>
      service.download({ url: origin.on(path, image), ...job })

    it('accepts an image that has as many as the job allows, and says its size', async () => {
      const { success, image_size } = await size('/pixels', png(30, 20), { max_pixels: 600 })
      assert.deepEqual([success, image_size], [true, '30x20'])
    })

    it('refuses one that has more; it is not retried', async () => {
      const callback = await size('/more-pixels', png(30, 20), { max_pixels: 599 })
      assertRefused(callback, 'limit.pixels', /the image has 30x20 pixels, more than max_pixels allows: 599/)
      assert.deepEqual([callback.mime_type, askedFor('/more-pixels')], ['image/png', 1])
    })

    it('refuses one that says so behind much metadata', async () => {
      const metadata = Array.from({ length: 8 }, () => segment(0xe2, Buffer.alloc(65_000)))
      const callback = await size('/late-pixels', jpeg(30, 20, metadata), { max_pixels: 599 })
      assertRefused(callback, 'limit.pixels', /30x20/)
    })

    it("refuses one that has more than the deployment allows, whatever the job's own limit", async () => {
      const bomb = jpeg(65_000, 65_000)
      for (const job of [{}, { extract_image_size: true }, { max_pixels: 10_000_000_000 }]) {
        assertRefused(await size('/bomb', bomb, job), 'limit.pixels', /65000x65000 pixels, .* allows: 100000000/)
      }
    })

    it('refuses one that does not say its size only where the job asked', async () => {
      const broken = PNG.subarray(0, 20)
      assert.equal((await size('/broken', broken, {})).success, true)
      assertRefused(await size('/broken', broken, { max_pixels: 100 }), 'image.size', /cannot be read/)
    })

    it('accepts what is no image, or one whose size is not supported', async () => {
      const { success, image_size } = await size('/no-image', Buffer.from('text'), { max_pixels: 1 })
      assert.deepEqual([success, image_size], [true, ''])
    })
  })
})
