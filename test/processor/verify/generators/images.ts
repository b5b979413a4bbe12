import { be16, be32, box, bytes, gif, jpeg, le16, le32, png, segment } from '../builders.ts'
import { blob, type Generators, sentence } from './generator.ts'

const side = 20_000

export const images: Generators = {
  'picture.png': (random) => png(random.between(1, 400), random.between(1, 400)),
  'comment.png': (random) => {
    const whole = png(random.between(1, 40), random.between(1, 40))
    const comment = bytes(`Comment\0${sentence(random)}`)
    return Buffer.concat([
      whole.subarray(0, 33),
      be32(comment.length),
      bytes('tEXt'),
      comment,
      blob(random, 4, 4),
      whole.subarray(33),
    ])
  },
  'picture.gif': (random) => gif(random.between(1, side), random.between(1, side)),
  'picture87.gif': (random) =>
    Buffer.concat([bytes('GIF87a'), gif(random.between(1, side), random.between(1, side)).subarray(6)]),
  'photo.jpg': (random) => jpeg(random.between(1, side), random.between(1, side), [], random.pick([0xc0, 0xc1, 0xc2])),
  'camera.jpg': (random) => {
    const exif = Buffer.concat([bytes('Exif\0\0II*\0\x08\0\0\0\0\0'), blob(random, 10, 30_000)])
    return jpeg(random.between(1, side), random.between(1, side), [
      segment(0xe1, exif),
      segment(0xfe, bytes(sentence(random))),
    ])
  },
  'jfif.jpg': (random) => {
    const jfif = bytes(`JFIF\0\x01${random.pick(['\x01', '\x02'])}\x01\0\x48\0\x48\0\0`)
    return jpeg(random.between(1, side), random.between(1, side), [segment(0xe0, jfif)])
  },
  'picture.webp': (random) => {
    const kind = random.pick(['VP8 ', 'VP8L', 'VP8X'])
    const content = blob(random, 20, 3000)
    return Buffer.concat([
      bytes('RIFF'),
      le32(content.length + 12),
      bytes(`WEBP${kind}`),
      le32(content.length),
      content,
    ])
  },
  'picture.avif': (random) =>
    Buffer.concat([
      box('ftyp', bytes(`${random.pick(['avif', 'avis'])}\0\0\0\0${random.pick(['avifmif1miaf', 'mif1avifmiaf'])}`)),
      box('meta', blob(random, 100, 900)),
    ]),
  'phone.heic': (random) =>
    Buffer.concat([
      box('ftyp', bytes(`${random.pick(['heic', 'heix'])}\0\0\0\0mif1heic`)),
      box('meta', blob(random, 100, 900)),
    ]),
  'picture.bmp': (random) => {
    const header = random.pick([40, 56, 108, 124])
    const width = random.between(1, 500)
    const height = random.between(1, 500)
    const pixels = blob(random, 100, 2000)
    const info = Buffer.alloc(header)
    Buffer.concat([le32(header), le32(width), le32(height), le16(1), le16(random.pick([1, 4, 8, 24, 32]))]).copy(info)
    const start = 14 + header
    return Buffer.concat([bytes('BM'), le32(start + pixels.length), le32(0), le32(start), info, pixels])
  },
  'scan.tif': (random) => {
    const tag = (id: number, value: number) => Buffer.concat([le16(id), le16(3), le32(1), le16(value), le16(0)])
    const tags = [tag(256, random.between(1, side)), tag(257, random.between(1, side)), tag(258, 8), tag(259, 1)]
    return Buffer.concat([bytes('II*\0'), le32(8), le16(tags.length), ...tags, le32(0), blob(random, 10, 2000)])
  },
  'scan-motorola.tif': (random) => {
    const tag = (id: number, value: number) => Buffer.concat([be16(id), be16(3), be32(1), be16(value), be16(0)])
    const tags = [tag(256, random.between(1, side)), tag(257, random.between(1, side)), tag(258, 8), tag(259, 1)]
    return Buffer.concat([bytes('MM\0*'), be32(8), be16(tags.length), ...tags, be32(0), blob(random, 10, 2000)])
  },
  'favicon.ico': (random) => {
    const width = random.pick([16, 32, 48])
    const image = Buffer.concat([le32(40), le32(width), le32(2 * width), le16(1), le16(32), blob(random, 200, 900)])
    const entry = [Buffer.from([width, width, 0, 0]), le16(1), le16(32), le32(image.length), le32(22)]
    return Buffer.concat([bytes('\0\0\x01\0\x01\0'), ...entry, image])
  },
  'picture.psd': (random) =>
    Buffer.concat([
      bytes('8BPS\0\x01\0\0\0\0\0\0'),
      be16(random.pick([1, 3, 4])),
      be32(random.between(1, side)),
      be32(random.between(1, side)),
      be16(8),
      be16(3),
      blob(random, 20, 600),
    ]),
  'picture.ppm': (random) => {
    const [width, height] = [random.between(1, 30), random.between(1, 30)]
    return Buffer.concat([bytes(`P6\n${width} ${height}\n255\n`), blob(random, 3 * width * height, 3 * width * height)])
  },
  'picture.pgm': (random) => {
    const [width, height] = [random.between(1, 30), random.between(1, 30)]
    return Buffer.concat([bytes(`P5\n${width} ${height}\n255\n`), blob(random, width * height, width * height)])
  },
  'picture.jp2': (random) =>
    Buffer.concat([
      bytes('\0\0\0\x0cjP  \r\n\x87\n'),
      box('ftyp', bytes('jp2 \0\0\0\0jp2 ')),
      box(
        'jp2h',
        box('ihdr', be32(random.between(1, side)), be32(random.between(1, side)), bytes('\0\x03\x07\x07\0\0')),
      ),
    ]),
  'picture.xcf': (random) =>
    Buffer.concat([bytes('gimp xcf v011\0'), be32(random.between(1, side)), be32(random.between(1, side)), be32(0)]),
  'icons.icns': (random) => {
    const image = blob(random, 100, 900)
    return Buffer.concat([bytes('icns'), be32(image.length + 16), bytes('ic07'), be32(image.length + 8), image])
  },
  'picture.qoi': (random) =>
    Buffer.concat([
      bytes('qoif'),
      be32(random.between(1, side)),
      be32(random.between(1, side)),
      Buffer.from([random.pick([3, 4]), random.pick([0, 1])]),
      blob(random, 20, 600),
    ]),
  'stored.svg': (random) => drawing(random.between(1, 40), random.pick(PROLOGS)),
  'editor.svg': (random) =>
    drawing(
      random.between(1, 300),
      '<?xml version="1.0" encoding="UTF-8" standalone="no"?>\n<!-- Created with Inkscape -->\n\n',
    ),
  'bare.svg': (random) => drawing(random.between(1, 300), ''),
  'minified.svg': (random) => drawing(random.between(1, 40), '').replaceAll('\n', ''),
  'icons.svg': (random) => {
    const icons = Array.from(
      { length: random.between(1, 40) },
      (_, i) => `<symbol id="i${i}"><path d="M0 0h1z"/></symbol>`,
    )
    return `<svg style="display:none" xmlns="http://www.w3.org/2000/svg">${icons.join('\n')}</svg>`
  },
  'titled.svg': (random) =>
    `<?xml version="1.0" encoding="utf-8"?>\n<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1">\n<title>${sentence(random)}</title>\n</svg>\n`,
  'windows.svg': (random) => drawing(random.between(1, 40), PROLOGS[1] ?? '').replaceAll('\n', '\r\n'),
  'sized.svg': (random) =>
    `<svg width="${random.between(1, 999)}" height="${random.between(1, 999)}"><circle r="5"/><text>${sentence(random)}</text></svg>\n`,
}

const PROLOGS = [
  '',
  '<?xml version="1.0"?>\n',
  '<?xml version="1.0" encoding="utf-8"?>\n<!-- Generator: Adobe Illustrator 27.0 -->\n',
  '<?xml version="1.0" standalone="no"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n',
]

function drawing(paths: number, prolog: string): string {
  const path = '<path fill="none" stroke="#000" d="M0 0h10v10z"/>\n'
  return `${prolog}<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">\n${path.repeat(paths)}</svg>\n`
}
