import { GIF } from 'image-size/types/gif'
import type { IImage } from 'image-size/types/interface'
import { JPG } from 'image-size/types/jpg'
import { PNG } from 'image-size/types/png'
import { WEBP } from 'image-size/types/webp'
import { JobError } from '../../jobs/errors.ts'
import { avifSize } from './avif-size.ts'
import { type FileBytes, fileBytes, type OpenFile } from './file-bytes.ts'
import { jpegFrame } from './jpeg-frame.ts'

export interface ImageSize {
  /** pixels */
  width: number
  /** pixels */
  height: number
}

export interface ImageFile extends OpenFile {
  /** What `detectMime` found. */
  mimeType: string
}

/** PNG, GIF and WebP say their size within so many first bytes. */
const HEADER_BYTES = 64

/** What stands in front of a lone frame to make it a JPEG for image-size: start of image, an empty comment. */
const JPEG_START = [0xff, 0xd8, 0xff, 0xfe, 0x00, 0x02]

/**
 * One way per type to the size, never through the pixels. image-size parses only headers that were cut out for it,
 * by the parser of the type that was found: tried on whole files, or with all its types, it loops without end or
 * needs quadratic time on some (CVE-2025-71319, CVE-2025-71329, CVE-2025-71330).
 */
const SIZES: Record<string, (bytes: FileBytes) => Promise<ImageSize | undefined>> = {
  'image/png': (bytes) => fromHeader(PNG, 24, bytes),
  'image/gif': (bytes) => fromHeader(GIF, 10, bytes),
  'image/webp': (bytes) => fromHeader(WEBP, 25, bytes),
  'image/jpeg': fromFrame,
  'image/avif': avifSize,
}

/**
 * The size of an image as it is stored, as Go's `image.DecodeConfig` gives it: EXIF orientation is not applied, an
 * animated GIF has the size of its screen. Takes microseconds for what lies in the head; a JPEG with much metadata
 * costs a read of the disk for each of its segments.
 *
 * @returns undefined for types whose size is not supported
 * @throws {JobError} `image.size` when a supported type does not say its size, `storage.failed`
 * @throws the signal's reason, when it aborts while the disk is read
 */
export async function imageSize(image: ImageFile, signal: AbortSignal): Promise<ImageSize | undefined> {
  const read = Object.hasOwn(SIZES, image.mimeType) ? SIZES[image.mimeType] : undefined
  if (!read) return undefined
  const size = await read(fileBytes(image, signal))
  // a GIF without a screen size takes that of its frames; in all other formats 0 is an error
  if (size && (image.mimeType === 'image/gif' || (size.width > 0 && size.height > 0))) return size
  throw unreadable(image.mimeType)
}

/** @param atLeast bytes that the shortest header has: image-size takes what is not there for 0 */
async function fromHeader(parser: IImage, atLeast: number, bytes: FileBytes): Promise<ImageSize | undefined> {
  const header = await bytes.at(0, HEADER_BYTES)
  return header.length < atLeast ? undefined : parse(parser, header)
}

async function fromFrame(bytes: FileBytes): Promise<ImageSize | undefined> {
  const frame = await jpegFrame(bytes)
  return frame && parse(JPG, [...JPEG_START, ...frame])
}

/** @param bytes are copied: image-size reads a part of a larger buffer past its end */
function parse(parser: IImage, bytes: ArrayLike<number>): ImageSize | undefined {
  const copy = Uint8Array.from(bytes)
  try {
    if (!parser.validate(copy)) return undefined
    const { width, height } = parser.calculate(copy)
    return { width, height }
  } catch {
    return undefined // cut short or contradictory; image-size throws errors of many kinds
  }
}

function unreadable(mimeType: string): JobError {
  return new JobError('image.size', `the size of the image (${mimeType}) cannot be read`, { retriable: false })
}
