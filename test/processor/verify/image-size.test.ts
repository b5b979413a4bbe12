import assert from 'node:assert/strict'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { JobError } from '../../../src/jobs/errors.ts'
import { imageSize } from '../../../src/processor/verify/image-size.ts'
import { SNIFF_BYTES } from '../../../src/processor/verify/mime.ts'
import { mimeDetector } from '../../../src/processor/verify/mime-detector.ts'
import { recordingLog } from '../../support/queue.ts'
import { be16, be32, box, bytes, gif, jpeg, noise, png, segment } from './builders.ts'
import { media } from './media.ts'

const never = new AbortController().signal
const detector = mimeDetector(recordingLog().log)

/** A file as the processor has it after the download: complete on disk, its beginning in memory. */
async function downloaded(content: Buffer) {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'image-size-'))
  const file = path.join(dir, 'image')
  await writeFile(file, content)
  const handle = await open(file)
  return {
    file: { handle, head: content.subarray(0, SNIFF_BYTES), size: content.length },
    async [Symbol.asyncDispose]() {
      await handle.close()
      await rm(dir, { recursive: true })
    },
  }
}

/** A handle that cannot be read from. */
async function closedHandle() {
  const handle = await open(os.devNull)
  await handle.close()
  return handle
}

/** @returns e.g. `3x2`, or undefined for types without a size */
async function sizeOf(content: Buffer, mimeType?: string): Promise<string | undefined> {
  await using image = await downloaded(content)
  const found = mimeType ?? (await detector.detect(image.file.head, content.length <= SNIFF_BYTES))
  const size = await imageSize({ ...image.file, mimeType: found }, never)
  return size && `${size.width}x${size.height}`
}

const unreadable = (error: unknown) =>
  error instanceof JobError && error.code === 'image.size' && !error.retriable && !/mime-type/.test(error.message)

const ispe = (width: number, height: number) => box('ispe', be32(0), be32(width), be32(height))

/** An AVIF whose second item is the primary one; `associations` are indices of properties by item. */
function avif(
  properties: Buffer[],
  associations: [item: number, ...indices: number[]][],
  before: Buffer[] = [],
): Buffer {
  const entries = associations.map(([item, ...indices]) =>
    Buffer.concat([be16(item), Buffer.from([indices.length, ...indices])]),
  )
  return Buffer.concat([
    box('ftyp', bytes('avif\0\0\0\0avifmif1')),
    ...before,
    box(
      'meta',
      be32(0),
      box('pitm', be32(0), be16(2)),
      box('iprp', box('ipco', ...properties), box('ipma', be32(0), be32(entries.length), ...entries)),
    ),
    box('mdat', Buffer.alloc(40)),
  ])
}

describe('imageSize', () => {
  after(detector.close)

  it('reads PNG', async () => {
    assert.equal(await sizeOf(png(3, 2)), '3x2')
    assert.equal(await sizeOf(png(20_000, 9000)), '20000x9000')
    assert.equal(await sizeOf(media('sample.apng')), '160x120')
  })

  it('reads GIF: the size of its screen, not that of a frame', async () => {
    assert.equal(await sizeOf(gif(300, 200)), '300x200')
    assert.equal(await sizeOf(gif(300, 200, { width: 30, height: 20 })), '300x200')
    assert.equal(await sizeOf(media('sample.gif')), '160x120')
    assert.equal(await sizeOf(gif(0, 0, { width: 30, height: 20 })), '0x0')
  })

  it('reads JPEG: baseline, extended and progressive', async () => {
    assert.equal(await sizeOf(media('baseline.jpg')), '7x5')
    assert.equal(await sizeOf(media('progressive.jpg')), '7x5')
    for (const frame of [0xc0, 0xc1, 0xc2]) assert.equal(await sizeOf(jpeg(640, 480, [], frame)), '640x480')
    assert.equal(await sizeOf(jpeg(65_535, 65_535)), '65535x65535')
  })

  it('reads WebP: lossy, lossless, extended, animated', async () => {
    assert.equal(await sizeOf(media('lossy.webp')), '7x5')
    assert.equal(await sizeOf(media('lossless.webp')), '7x5')
    assert.equal(await sizeOf(media('extended.webp')), '7x5')
    assert.equal(await sizeOf(media('animated.webp')), '160x120')
  })

  it('reads AVIF: still, animated, and a grid as a whole', async () => {
    assert.equal(await sizeOf(media('still.avif')), '7x5')
    assert.equal(await sizeOf(media('animated.avif')), '160x120')
    assert.equal(await sizeOf(media('grid.avif')), '256x256')
  })

  it('gives the stored size, without rotation and crop', async () => {
    assert.equal(await sizeOf(media('rotated-and-cropped.avif')), '7x5')
    // TIFF header, one entry: orientation (0x0112), short, count 1, value 6
    const rotated = bytes('Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0')
    assert.equal(await sizeOf(jpeg(640, 480, [segment(0xe1, rotated)])), '640x480')
  })

  it('ignores types that have no size here', async () => {
    for (const type of [
      'image/svg+xml',
      'image/tiff',
      'image/vnd.microsoft.icon',
      'text/html',
      'application/pdf',
      'toString',
    ]) {
      assert.equal(await sizeOf(png(3, 2), type), undefined, type)
    }
  })

  it('never takes the thumbnail for the image', async () => {
    const thumbnail = Buffer.concat([bytes('Exif\0\0'), jpeg(160, 120)])
    assert.equal(await sizeOf(jpeg(4000, 3000, [segment(0xe1, thumbnail)])), '4000x3000')
    assert.equal(await sizeOf(jpeg(4000, 3000, [segment(0xe1, thumbnail), bytes('\xff\xff\xff')])), '4000x3000')
  })

  it('reads a JPEG behind megabytes of metadata', async () => {
    const profile = Array.from({ length: 80 }, (_, i) => segment(0xe2, noise(i, 65_000)))
    assert.equal(await sizeOf(jpeg(4000, 3000, profile)), '4000x3000')
  })

  it('reads a JPEG whose frame stands across the end of the head', async () => {
    for (let before = SNIFF_BYTES - 24; before <= SNIFF_BYTES + 2; before++) {
      const comment = segment(0xfe, Buffer.alloc(before - 6))
      assert.equal(await sizeOf(jpeg(640, 480, [comment])), '640x480', String(before))
    }
  })

  it('skips what stands between the segments of a JPEG, as decoders do', async () => {
    assert.equal(await sizeOf(jpeg(640, 480, [bytes('\xff\xff\xff\xff')])), '640x480')
    assert.equal(await sizeOf(jpeg(640, 480, [segment(0xe0, bytes('JFIF\0')), bytes('\0\0garbage')])), '640x480')
    assert.equal(await sizeOf(jpeg(640, 480, [bytes('\xff\x01\xff\xd0')])), '640x480')
  })

  it('takes the size that belongs to the primary item of an AVIF', async () => {
    const other = box('pixi', be32(0), Buffer.from([3, 8, 8, 8]))
    const properties = [ispe(9000, 9000), other, ispe(640, 480)]
    assert.equal(
      await sizeOf(
        avif(properties, [
          [1, 1],
          [2, 2, 0x83],
        ]),
      ),
      '640x480',
    )
  })

  it('finds what describes an AVIF behind its pixels', async () => {
    const late = avif(
      [ispe(640, 480)],
      [[2, 1]],
      [box('free', Buffer.alloc(100_000)), box('mdat', Buffer.alloc(200_000))],
    )
    assert.equal(await sizeOf(late), '640x480')
    const large = Buffer.concat([be32(1), bytes('mdat'), be32(0), be32(16 + 50_000), Buffer.alloc(50_000)])
    assert.equal(await sizeOf(avif([ispe(640, 480)], [[2, 1]], [large])), '640x480')
  })

  it('says when an image of a supported type does not say its size', async () => {
    const cases: Record<string, [Buffer, string]> = {
      'PNG cut in its header': [png(3, 2).subarray(0, 20), 'image/png'],
      'PNG without a header': [
        Buffer.concat([png(3, 2).subarray(0, 8), be32(13), bytes('IDAT'), Buffer.alloc(40)]),
        'image/png',
      ],
      'PNG of width 0': [png(0, 2), 'image/png'],
      'GIF cut in its screen': [gif(3, 2).subarray(0, 8), 'image/gif'],
      'GIF of no version': [bytes('GIF80a\x03\0\x02\0'), 'image/gif'],
      'JPEG without a frame': [bytes('\xff\xd8\xff\xd9'), 'image/jpeg'],
      'JPEG cut in front of its frame': [media('baseline.jpg').subarray(0, 60), 'image/jpeg'],
      'JPEG cut in its frame': [jpeg(3, 2).subarray(0, 8), 'image/jpeg'],
      'JPEG whose segment goes on behind its end': [bytes('\xff\xd8\xff\xe1\xff\xff'), 'image/jpeg'],
      'JPEG with its scan first': [bytes('\xff\xd8\xff\xda\0\x02\xff\xc0\0\x0b\x08\0\x02\0\x03'), 'image/jpeg'],
      'JPEG of height 0': [jpeg(3, 0), 'image/jpeg'],
      'WebP cut in its header': [media('lossy.webp').subarray(0, 22), 'image/webp'],
      'WebP of an unknown kind': [bytes(`RIFF\x40\0\0\0WEBPVP8Z${'\0'.repeat(60)}`), 'image/webp'],
      'AVIF without meta': [box('ftyp', bytes('avif\0\0\0\0')), 'image/avif'],
      'AVIF cut in its meta': [media('still.avif').subarray(0, 200), 'image/avif'],
      'AVIF without a primary size': [avif([ispe(640, 480)], [[1, 1]]), 'image/avif'],
      'AVIF of a property that is not there': [avif([ispe(640, 480)], [[2, 9]]), 'image/avif'],
      'AVIF with a short size': [avif([box('ispe', be32(0), be32(640))], [[2, 1]]), 'image/avif'],
      'text named an image': [bytes('<html>not an image, but long enough for a header</html>'), 'image/png'],
    }
    for (const [name, [content, type]] of Object.entries(cases)) {
      await assert.rejects(sizeOf(content, type), unreadable, name)
    }
  })

  it('reads nothing past the end of a small image in a large buffer', async () => {
    const whole = media('lossless.webp')
    const buffer = Buffer.concat([whole, noise(1, 500)])
    await using image = await downloaded(whole.subarray(0, 22))
    const head = buffer.subarray(0, 22)
    await assert.rejects(imageSize({ ...image.file, head, mimeType: 'image/webp' }, never), unreadable)
  })

  it('does not touch the disk for what lies in the head', async () => {
    const images = [png(3, 2), gif(3, 2), jpeg(3, 2), media('lossy.webp'), media('still.avif'), media('grid.avif')]
    for (const content of images) {
      await using image = await downloaded(content)
      const mimeType = await detector.detect(content, true)
      assert.ok(await imageSize({ ...image.file, handle: await closedHandle(), mimeType }, never), mimeType)
    }
  })

  it('says that the disk failed when it did', async () => {
    await using image = await downloaded(jpeg(3, 2, [segment(0xe1, Buffer.alloc(60_000))]))
    await assert.rejects(
      imageSize({ ...image.file, handle: await closedHandle(), mimeType: 'image/jpeg' }, never),
      (error) => error instanceof JobError && error.code === 'storage.failed' && error.retriable,
    )
  })

  it('stops when told to', async () => {
    await using image = await downloaded(jpeg(3, 2, [segment(0xe1, Buffer.alloc(60_000))]))
    const reason = new Error('lease lost')
    await assert.rejects(imageSize({ ...image.file, mimeType: 'image/jpeg' }, AbortSignal.abort(reason)), reason)
  })

  it('gives up on hostile images soon', async () => {
    const tiny = segment(0xe1, Buffer.alloc(0))
    const boxes = Buffer.concat(Array.from({ length: 60_000 }, () => box('ispe')))
    const hostile: Record<string, [Buffer, string]> = {
      'a million empty segments': [Buffer.concat([bytes('\xff\xd8'), Buffer.alloc(4_000_000, tiny)]), 'image/jpeg'],
      'nothing but fill bytes': [Buffer.concat([bytes('\xff\xd8'), Buffer.alloc(4_000_000, 0xff)]), 'image/jpeg'],
      'nothing but zeros': [Buffer.concat([bytes('\xff\xd8\xff'), Buffer.alloc(4_000_000)]), 'image/jpeg'],
      'segments of length 0': [
        Buffer.concat([bytes('\xff\xd8'), Buffer.alloc(4_000_000, bytes('\xff\xe1\0\0'))]),
        'image/jpeg',
      ],
      'boxes of size 0': [Buffer.concat([box('ftyp', bytes('avif')), Buffer.alloc(1_000_000)]), 'image/avif'],
      'boxes without end': [
        Buffer.concat([box('ftyp', bytes('avif')), Buffer.alloc(1_000_000, box('free'))]),
        'image/avif',
      ],
      'a box of 2^63 bytes': [
        Buffer.concat([be32(1), bytes('ftyp\x7f'), Buffer.alloc(7, 0xff), bytes('avif')]),
        'image/avif',
      ],
      'a meta of boxes': [Buffer.concat([box('ftyp', bytes('avif')), box('meta', be32(0), boxes)]), 'image/avif'],
      'properties of boxes': [avif([boxes], [[2, 1]]), 'image/avif'],
      'a huge meta': [
        Buffer.concat([box('ftyp', bytes('avif')), be32(0x7fffffff), bytes('meta'), Buffer.alloc(9000)]),
        'image/avif',
      ],
      'four billion associations': [
        Buffer.concat([
          box('ftyp', bytes('avif')),
          box(
            'meta',
            be32(0),
            box('pitm', be32(0), be16(2)),
            box('iprp', box('ipco'), box('ipma', be32(0), be32(0xffffffff), Buffer.alloc(400_000))),
          ),
        ]),
        'image/avif',
      ],
    }
    for (const [name, [content, type]] of Object.entries(hostile)) {
      await using image = await downloaded(content)
      const started = performance.now()
      await assert.rejects(imageSize({ ...image.file, mimeType: type }, never), unreadable, name)
      const took = performance.now() - started
      assert.ok(took < 500, `${name}: ${took} ms`)
    }
  })

  it('either reads or refuses whatever is made of an image', async function () {
    this.timeout(20_000)
    const seeds: [Buffer, string][] = [
      [png(3, 2), 'image/png'],
      [gif(3, 2), 'image/gif'],
      [jpeg(3, 2, [segment(0xe0, bytes('JFIF\0')), segment(0xe1, jpeg(1, 1))]), 'image/jpeg'],
      [media('progressive.jpg'), 'image/jpeg'],
      [media('lossy.webp'), 'image/webp'],
      [media('lossless.webp'), 'image/webp'],
      [media('extended.webp'), 'image/webp'],
      [media('still.avif'), 'image/avif'],
      [media('grid.avif'), 'image/avif'],
    ]
    await using image = await downloaded(Buffer.alloc(4))
    const change = fc.record({ at: fc.nat(600), byte: fc.constantFrom(0, 1, 2, 8, 0x7f, 0x80, 0xc0, 0xfe, 0xff) })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...seeds),
        fc.array(change, { maxLength: 8 }),
        fc.nat(),
        async (seed, changes, cut) => {
          const [content, mimeType] = [Buffer.from(seed[0]), seed[1]]
          for (const { at, byte } of changes) if (at < content.length) content[at] = byte
          const head = cut % 2 === 0 ? content : content.subarray(0, cut % content.length)
          try {
            const size = await imageSize({ handle: image.file.handle, head, size: head.length, mimeType }, never)
            assert.ok(size && Number.isSafeInteger(size.width) && Number.isSafeInteger(size.height))
            assert.ok(size.width >= 0 && size.height >= 0)
          } catch (error) {
            assert.ok(unreadable(error), String(error))
          }
        },
      ),
      { seed: 1, numRuns: 5000 },
    )
  })

  it('takes microseconds for an ordinary image', async () => {
    await using image = await downloaded(media('baseline.jpg'))
    const measure = async () => {
      const started = performance.now()
      for (let i = 0; i < 200; i++) await imageSize({ ...image.file, mimeType: 'image/jpeg' }, never)
      return (performance.now() - started) / 200
    }
    await measure()
    const each = await measure()
    assert.ok(each < 1, `${each} ms`)
  })
})
