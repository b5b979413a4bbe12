import { be32, box, bytes, le32 } from '../builders.ts'
import { blob, type Generators } from './generator.ts'

export const videos: Generators = {
  'film.mp4': (random) => iso(random.pick(['isom', 'mp41', 'mp42', 'avc1', 'iso2']), blob(random, 60, 3000)),
  'film.m4v': (random) => iso('M4V ', blob(random, 60, 3000)),
  'film.mov': (random) => iso('qt  ', blob(random, 60, 3000)),
  'old.mov': (random) => box('moov', box('mvhd', Buffer.alloc(100)), blob(random, 60, 900)),
  'phone.3gp': (random) => iso(random.pick(['3gp4', '3gp5', '3gp6']), blob(random, 60, 900)),
  'film.webm': (random) => matroska('webm', blob(random, 100, 3000)),
  'film.mkv': (random) => matroska('matroska', blob(random, 100, 3000)),
  'film.avi': (random) => {
    const content = blob(random, 200, 3000)
    return Buffer.concat([
      bytes('RIFF'),
      le32(content.length + 12),
      bytes('AVI LIST'),
      le32(192),
      bytes('hdrlavih'),
      content,
    ])
  },
  'film.flv': (random) =>
    Buffer.concat([bytes(`FLV\x01${random.pick(['\x01', '\x04', '\x05'])}\0\0\0\x09\0\0\0\0`), blob(random, 60, 900)]),
  'film.wmv': (random) =>
    Buffer.concat([
      bytes('\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c'),
      le32(5000),
      le32(0),
      le32(7),
      blob(random, 60, 900),
    ]),
  'program.mpg': (random) =>
    Buffer.concat([bytes('\0\0\x01\xba\x44\0\x04\0\x04\x01\x01\x89\xc3\xf8'), blob(random, 60, 900)]),
  'stream.ts': (random) =>
    Buffer.concat(
      Array.from({ length: random.between(3, 9) }, () =>
        Buffer.concat([bytes('\x47\x40\0\x10\0'), blob(random, 183, 183)]),
      ),
    ),
  'film.ogv': (random) => {
    const packet = Buffer.concat([bytes('\x80theora\x03\x02\x01'), blob(random, 30, 30)])
    const page = bytes('OggS\0\x02\0\0\0\0\0\0\0\0\x01\x02\x03\x04\0\0\0\0\x05\x06\x07\x08\x01')
    return Buffer.concat([page, Buffer.from([packet.length]), packet])
  },
}

function iso(brand: string, content: Buffer): Buffer {
  return Buffer.concat([
    box('ftyp', bytes(`${brand}\0\0\x02\0${brand}isom`)),
    box('free'),
    box('mdat', content),
    be32(8),
  ])
}

/** An EBML header as every muxer writes it. */
function matroska(type: string, content: Buffer): Buffer {
  const name = Buffer.concat([bytes('\x42\x82'), Buffer.from([0x80 | type.length]), bytes(type)])
  const header = [
    bytes('\x42\x86\x81\x01\x42\xf7\x81\x01\x42\xf2\x81\x04\x42\xf3\x81\x08'),
    name,
    bytes('\x42\x87\x81\x04\x42\x85\x81\x02'),
  ]
  const all = Buffer.concat(header)
  return Buffer.concat([
    bytes('\x1a\x45\xdf\xa3'),
    Buffer.from([0x80 | all.length]),
    all,
    bytes('\x18\x53\x80\x67'),
    content,
  ])
}
