import zlib from 'node:zlib'

/** Bytes of a string in Latin-1, so that `\x89PNG` is what it looks like. */
export const bytes = (text: string) => Buffer.from(text, 'latin1')

export function be32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}

export function be16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16BE(value)
  return buffer
}

export function le16(value: number): Buffer {
  const buffer = Buffer.alloc(2)
  buffer.writeUInt16LE(value)
  return buffer
}

export function le32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}

/** A whole PNG, black, one bit a pixel. */
export function png(width: number, height: number): Buffer {
  const pixels = Buffer.alloc((1 + Math.ceil(width / 8)) * height)
  const header = Buffer.concat([be32(width), be32(height), Buffer.from([1, 0, 0, 0, 0])])
  const chunk = (type: string, data: Buffer) => {
    const content = Buffer.concat([bytes(type), data])
    return Buffer.concat([be32(data.length), content, be32(zlib.crc32(content))])
  }
  return Buffer.concat([
    bytes('\x89PNG\r\n\x1a\n'),
    chunk('IHDR', header),
    chunk('IDAT', zlib.deflateSync(pixels)),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** A GIF whose one frame may be smaller than its screen. */
export function gif(width: number, height: number, frame = { width, height }): Buffer {
  return Buffer.concat([
    bytes('GIF89a'),
    le16(width),
    le16(height),
    bytes('\x80\0\0\0\0\0\xff\xff\xff'), // two colours
    bytes('\x2c\0\0\0\0'),
    le16(frame.width),
    le16(frame.height),
    bytes('\0\x02\x02\x44\x01\0\x3b'),
  ])
}

export const segment = (marker: number, content: Buffer) =>
  Buffer.concat([Buffer.from([0xff, marker]), be16(content.length + 2), content])

/** A JPEG's header with whatever stands in front of its frame. */
export function jpeg(width: number, height: number, before: Buffer[] = [], frame = 0xc0): Buffer {
  const size = Buffer.concat([Buffer.from([8]), be16(height), be16(width), Buffer.from([1, 1, 0x11, 0])])
  const scan = Buffer.concat([segment(0xda, Buffer.from([1, 1, 0, 0, 63, 0])), Buffer.alloc(40, 0x55)])
  return Buffer.concat([bytes('\xff\xd8'), ...before, segment(frame, size), scan, bytes('\xff\xd9')])
}

/** A box of ISO/IEC 14496-12. */
export const box = (type: string, ...content: Buffer[]) => {
  const inside = Buffer.concat(content)
  return Buffer.concat([be32(8 + inside.length), bytes(type), inside])
}

/** An archive of stored members. */
export function zip(members: [name: string, content: Buffer | string][]): Buffer {
  const locals: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const [name, text] of members) {
    const content = Buffer.from(text)
    const common = Buffer.alloc(26) // from version needed to extra field length
    common.writeUInt16LE(20, 0)
    common.writeUInt32LE(zlib.crc32(content), 10)
    common.writeUInt32LE(content.length, 14)
    common.writeUInt32LE(content.length, 18)
    common.writeUInt16LE(name.length, 22)
    const local = Buffer.concat([bytes('PK\x03\x04'), common, bytes(name), content])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    central.push(Buffer.concat([bytes('PK\x01\x02'), le16(20), common, tail, bytes(name)]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(18)
  end.writeUInt16LE(members.length, 4)
  end.writeUInt16LE(members.length, 6)
  end.writeUInt32LE(directory.length, 8)
  end.writeUInt32LE(offset, 12)
  return Buffer.concat([...locals, directory, bytes('PK\x05\x06'), end])
}

/** 15 members whose 1 KiB unpacks to 1 MiB, which file-type does with members of that name. */
export function archiveOfBombs(): Buffer {
  const bomb = zlib.deflateRawSync(Buffer.alloc(2 ** 20 - 1), { level: 9 })
  const name = '[Content_Types].xml'
  const header = [bytes('PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0'), le32(0), le32(bomb.length), le32(2 ** 20 - 1)]
  const member = Buffer.concat([...header, le16(name.length), le16(0), bytes(name), bomb])
  return Buffer.concat(Array.from({ length: 15 }, () => member))
}

export function tar(name: string, content: string): Buffer {
  const header = Buffer.alloc(512)
  header.write(name)
  header.write('0000644\x000000000\x000000000\0', 100)
  header.write(`${content.length.toString(8).padStart(11, '0')}\x0014000000000\0`, 124)
  header.write('        0', 148)
  header.write('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, Buffer.from(content.padEnd(512, '\0')), Buffer.alloc(1024)])
}

/** A compound file (MS-CFB) with one sector each of allocation table and directory, and empty streams. */
export function compoundFile(streams: string[], rootClass = Buffer.alloc(16)): Buffer {
  const header = Buffer.alloc(512, 0xff)
  header.fill(0, 0, 76)
  bytes('\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1').copy(header)
  header.writeUInt16LE(0x3e, 24)
  header.writeUInt16LE(3, 26)
  header.writeUInt16LE(0xfffe, 28)
  header.writeUInt16LE(9, 30) // sectors of 512 bytes
  header.writeUInt16LE(6, 32)
  header.writeUInt32LE(1, 44) // one sector of allocation table
  header.writeUInt32LE(1, 48) // the directory is sector 1
  header.writeUInt32LE(4096, 56)
  header.writeUInt32LE(0xfffffffe, 60)
  header.writeUInt32LE(0xfffffffe, 68)
  header.writeUInt32LE(0, 76) // the allocation table is sector 0
  const table = Buffer.alloc(512, 0xff)
  table.writeUInt32LE(0xfffffffd, 0)
  table.writeUInt32LE(0xfffffffe, 4)
  const directory = Buffer.alloc(512)
  const entries = ['Root Entry', ...streams]
  entries.slice(0, 4).forEach((name, i) => {
    const at = i * 128
    directory.write(name, at, 'utf16le')
    directory.writeUInt16LE(2 * name.length + 2, at + 64)
    directory[at + 66] = i === 0 ? 5 : 2
    directory[at + 67] = 1
    directory.fill(0xff, at + 68, at + 80)
    if (i === 0) directory.writeUInt32LE(1, at + 76)
    else if (i + 1 < entries.length) directory.writeUInt32LE(i + 1, at + 72)
    directory.writeUInt32LE(0xfffffffe, at + 116)
  })
  rootClass.copy(directory, 80)
  return Buffer.concat([header, table, directory])
}

/** Bytes that look like nothing, the same in every run. */
export function noise(seed: number, length: number): Buffer {
  const out = Buffer.alloc(length)
  let state = seed * 2654435761 + 1
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[at] = state >>> 24
  }
  return out
}
