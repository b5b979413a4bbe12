import { z } from 'zod'

const S3Options = z.strictObject({
  type: z.literal('s3'),
  bucket: z.string().min(3).max(255),
  region: z.string().min(1).max(64),
  /** For look-alikes of S3. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  /** Bucket in the path instead of the host name: what most look-alikes want. */
  force_path_style: z.boolean().optional(),
  /** Whether objects are sent with their CRC-32, which S3 verifies and some look-alikes do not know. */
  checksum: z.enum(['crc32', 'none']).default('crc32'),
})

export const FileStorageConfig = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('filesystem'), rootdir: z.string().min(1) }),
  S3Options,
])
export type FileStorageConfig = z.infer<typeof FileStorageConfig>
export type S3Config = z.infer<typeof S3Options>
