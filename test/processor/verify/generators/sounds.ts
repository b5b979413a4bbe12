import { be16, be32, box, bytes, le16, le32 } from '../builders.ts'
import { blob, type Generators, sentence } from './generator.ts'

const RATES = [8000, 22_050, 44_100, 48_000]

export const sounds: Generators = {
  'sound.wav': (random) => {
    const rate = random.pick(RATES)
    const format = [
      le16(random.pick([1, 3, 6, 7])),
      le16(random.pick([1, 2])),
      le32(rate),
      le32(rate * 2),
      le16(2),
      le16(16),
    ]
    const data = blob(random, 50, 3000)
    const all = Buffer.concat([bytes('WAVEfmt '), le32(16), ...format, bytes('data'), le32(data.length), data])
    return Buffer.concat([bytes('RIFF'), le32(all.length), all])
  },
  'tagged.mp3': (random) => {
    const title = bytes(`\0${sentence(random)}`)
    const frame = Buffer.concat([bytes('TIT2'), be32(title.length), be16(0), title])
    const size = frame.length
    const tag = [bytes('ID3'), Buffer.from([random.pick([2, 3, 4]), 0, 0, 0, 0, size >> 7, size & 0x7f]), frame]
    return Buffer.concat([...tag, bytes('\xff\xfb\x90\x64'), blob(random, 413, 3000)])
  },
  'bare.mp3': (random) => {
    const frame = () =>
      Buffer.concat([bytes(`\xff\xfb${random.pick(['\x90', '\xa0', '\xb0'])}\x64`), Buffer.alloc(413)])
    return Buffer.concat(Array.from({ length: random.between(2, 9) }, frame))
  },
  'sound.flac': (random) =>
    Buffer.concat([bytes('fLaC\0\0\0\x22\x10\0\x10\0\0\0\x0e\0\x10\x53\x0a\xc4\x42\xf0'), blob(random, 300, 3000)]),
  'vorbis.ogg': (random) => ogg(bytes('\x01vorbis\0\0\0\0\x02'), blob(random, 20, 900)),
  'opus.ogg': (random) => ogg(bytes('OpusHead\x01\x02\x38\x01'), blob(random, 20, 900)),
  'flac.ogg': (random) => ogg(bytes('\x7fFLAC\x01\0\0\x02fLaC'), blob(random, 20, 900)),
  'speex.ogg': (random) => ogg(bytes('Speex   1.2rc1'), blob(random, 60, 900)),
  'sound.m4a': (random) =>
    Buffer.concat([box('ftyp', bytes('M4A \0\0\x02\0M4A mp42isom')), box('moov', blob(random, 60, 900))]),
  'sound.aiff': (random) => {
    const common = Buffer.concat([
      bytes('COMM'),
      be32(18),
      be16(random.pick([1, 2])),
      be32(900),
      be16(16),
      blob(random, 10, 10),
    ])
    return Buffer.concat([bytes('FORM'), be32(common.length + 4), bytes(random.pick(['AIFF', 'AIFC'])), common])
  },
  'sound.au': (random) =>
    Buffer.concat([
      bytes('.snd'),
      be32(24),
      be32(800),
      be32(random.pick([1, 2, 3])),
      be32(random.pick(RATES)),
      be32(1),
      blob(random, 50, 900),
    ]),
  'song.mid': (random) => {
    const track = blob(random, 20, 600)
    const header = [be32(6), be16(random.pick([0, 1])), be16(1), be16(random.pick([96, 480]))]
    return Buffer.concat([bytes('MThd'), ...header, bytes('MTrk'), be32(track.length), track])
  },
  'sound.aac': (random) => {
    const frame = () => Buffer.concat([bytes('\xff\xf1\x50\x80\x17\x7f\xfc'), Buffer.alloc(180)])
    return Buffer.concat(Array.from({ length: random.between(3, 9) }, frame))
  },
  'voice.amr': (random) => Buffer.concat([bytes('#!AMR\n'), blob(random, 32, 900)]),
  'monkey.ape': (random) => Buffer.concat([bytes('MAC \x96\x0f\0\0'), blob(random, 60, 900)]),
}

/** The first page of a stream, whose packet is `start` and what follows. */
function ogg(start: Buffer, rest: Buffer): Buffer {
  const packet = Buffer.concat([start, rest]).subarray(0, 250)
  const page = bytes('OggS\0\x02\0\0\0\0\0\0\0\0\x01\x02\x03\x04\0\0\0\0\x05\x06\x07\x08\x01')
  return Buffer.concat([page, Buffer.from([packet.length]), packet])
}
