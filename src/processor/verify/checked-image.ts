import { JobError } from '../../jobs/errors.ts'
import type { DownloadRequest } from '../../jobs/job.ts'
import { lowerLimit } from '../limits.ts'
import { type ImageFile, type ImageSize, imageSize } from './image-size.ts'

/**
 * Measures an image where the job or the deployment wants that, and holds it against the limits on pixels.
 *
 * @param maxPixels the deployment's; 0 means no limit
 * @returns the size for the callback: undefined unless the job asked for it, with `extract_image_size` or `max_pixels`
 * @throws {JobError} `limit.pixels`; `image.size` when the job asked and the image does not say; `storage.failed`
 * @throws the signal's reason, when it aborts while the disk is read
 */
export async function checkedImage(
  image: ImageFile,
  request: Pick<DownloadRequest, 'extractImageSize' | 'maxPixels'>,
  maxPixels: number,
  signal: AbortSignal,
): Promise<ImageSize | undefined> {
  const asked = request.extractImageSize === true || request.maxPixels !== undefined
  const limit = lowerLimit(maxPixels, request.maxPixels)
  if (!asked && limit === 0) return undefined
  const size = await imageSize(image, signal).catch((error: unknown) => {
    if (!asked && error instanceof JobError && error.code === 'image.size') return undefined
    throw error
  })
  if (size && limit > 0 && size.width * size.height > limit) throw tooLarge(size, limit)
  return asked ? size : undefined
}

function tooLarge({ width, height }: ImageSize, limit: number): JobError {
  const text = `the image has ${width}x${height} pixels, more than max_pixels allows: ${limit}`
  return new JobError('limit.pixels', text, { retriable: false })
}
