import zlib from 'node:zlib'
import { bytes, le32, tar, zip } from '../builders.ts'
import { blob, type Generators, prose, word } from './generator.ts'

export const archives: Generators = {
  'files.zip': (random) =>
    zip(Array.from({ length: random.between(1, 9) }, (_, i) => [`${word(random)}${i}.txt`, prose(random, 9)])),
  'program.jar': (random) =>
    zip([
      ['META-INF/MANIFEST.MF', `Manifest-Version: 1.0\r\nCreated-By: ${random.between(8, 21)} (Debian)\r\n\r\n`],
      [`org/example/${word(random)}.class`, blob(random, 400, 2000)],
    ]),
  'app.apk': (random) =>
    zip([
      ['AndroidManifest.xml', blob(random, 10, 900)],
      ['classes.dex', blob(random, 10, 900)],
    ]),
  'text.gz': (random) => zlib.gzipSync(prose(random, random.between(1, 90)), { level: random.between(1, 9) }),
  'files.tar.gz': (random) => zlib.gzipSync(tar(`${word(random)}.txt`, prose(random, 5))),
  'files.tar': (random) => tar(`${word(random)}/${word(random)}.txt`, prose(random, random.between(1, 5))),
  'text.zlib': (random) => zlib.deflateSync(prose(random, 9), { level: random.between(1, 9) }),
  'text.bz2': (random) => Buffer.concat([bytes(`BZh${random.between(1, 9)}1AY&SY`), blob(random, 40, 900)]),
  'text.xz': (random) => Buffer.concat([bytes('\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46'), blob(random, 40, 900)]),
  'text.zst': (random) => Buffer.concat([bytes('\x28\xb5\x2f\xfd\x24'), blob(random, 40, 900)]),
  'text.lz4': (random) => Buffer.concat([bytes('\x04\x22\x4d\x18\x64\x40\xa7'), blob(random, 40, 900)]),
  'files.7z': (random) => Buffer.concat([bytes('7z\xbc\xaf\x27\x1c\0\x04'), blob(random, 40, 900)]),
  'files.rar': (random) =>
    Buffer.concat([bytes(random.pick(['Rar!\x1a\x07\x01\0', 'Rar!\x1a\x07\0'])), blob(random, 40, 900)]),
  'package.deb': (random) =>
    Buffer.concat([
      bytes('!<arch>\ndebian-binary   1700000000  0     0     100644  4         `\n2.0\n'),
      bytes(`control.tar.xz  1700000000  0     0     100644  ${String(random.between(100, 9999)).padEnd(10)}\`\n`),
      blob(random, 40, 900),
    ]),
  'package.rpm': (random) =>
    Buffer.concat([bytes('\xed\xab\xee\xdb\x03\0\0\0\0\x01'), bytes(word(random)), Buffer.alloc(80)]),
  'files.cpio': (random) => {
    const name = `${word(random)}\0`
    const hex = (value: number) => value.toString(16).padStart(8, '0')
    const fields = [1, 0o100644, 0, 0, 1, 1_700_000_000, 4, 0, 0, 0, 0, name.length, 0].map(hex).join('')
    return Buffer.concat([bytes(`070701${fields}${name}`), blob(random, 40, 900)])
  },
  'library.a': (random) =>
    Buffer.concat([
      bytes('!<arch>\n/               0           0     0     0       96        `\n'),
      le32(random.between(1, 99)),
      blob(random, 92, 900),
    ]),
}
