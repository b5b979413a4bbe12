import type { FileBytes } from './file-bytes.ts'

/** Segments in front of the frame: at 64 KiB each that is 256 MiB of metadata. */
const MAX_SEGMENTS = 4096

/** Bytes between segments that belong to none; decoders skip them. */
const MAX_GARBAGE = 8 * 1024

/** Marker, length, precision, height, width, number of components. */
const FRAME_BYTES = 10

const END_OF_IMAGE = 0xd9
const START_OF_SCAN = 0xda

/**
 * Finds the first bytes of a JPEG's frame header, from its marker on (ITU-T T.81, B.1.1.3 and B.2.2). Goes from marker
 * to marker, so that metadata costs nothing however much there is, and a thumbnail in it is never taken for the image.
 *
 * @returns undefined when there is none before the image data
 */
export async function jpegFrame(bytes: FileBytes): Promise<Buffer | undefined> {
  let offset = 2 // behind the start of the image
  let garbage = 0
  for (let segments = 0; segments < MAX_SEGMENTS && garbage < MAX_GARBAGE; ) {
    const start = await bytes.at(offset, FRAME_BYTES)
    const [prefix, marker = 0] = start
    if (start.length < 4 || (prefix === 0xff && (marker === END_OF_IMAGE || marker === START_OF_SCAN))) return undefined
    if (prefix === 0xff && isFrame(marker)) return start
    if (prefix === 0xff && hasLength(marker)) {
      segments++
      offset += 2 + Math.max(start.readUInt16BE(2), 2)
    } else {
      garbage++ // fill bytes are 0xff too
      offset++
    }
  }
  return undefined
}

/** Any of the frames: baseline, extended, progressive, lossless; but no Huffman table, extension or arithmetic coding. */
function isFrame(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc
}

/** All other markers stand alone. */
function hasLength(marker: number): boolean {
  return marker >= 0xc0 && marker !== 0xff && !(marker >= 0xd0 && marker <= 0xd8)
}
