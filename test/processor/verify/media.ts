import { readFileSync } from 'node:fs'

/**
 * What real encoders wrote (ImageMagick, libwebp, libavif, libheif, libjxl, FFmpeg, xz, bzip2, zstd), in base64: small
 * images whole, `grid.avif` up to its pixels, of everything else the first 256 bytes.
 */
const files: Record<string, string> = JSON.parse(readFileSync(new URL('media.json', import.meta.url), 'utf8'))

export const mediaNames = Object.keys(files)

export function media(name: string): Buffer {
  const encoded = files[name]
  if (encoded === undefined) throw new Error(`no such file: ${name}`)
  return Buffer.from(encoded, 'base64')
}
