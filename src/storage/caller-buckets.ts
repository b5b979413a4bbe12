import { JobError } from '../jobs/errors.ts'
import type { FileStorageConfig } from './config.ts'
import { type ObjectStore, objectStore } from './s3.ts'
import type { PutOptions, TempFile } from './storage.ts'

/** Callers name regions; there are about forty. */
const MAX_REGIONS = 64
/** What callers name becomes part of a host name and a path, so it must look like what it is: a name, or an access point. */
const BUCKET = /^([a-z0-9][a-z0-9._-]{2,254}|arn:[a-z0-9:/._-]+)$/i
const REGION = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/

/**
 * The callers' own buckets: what is put there is theirs, and never deleted by us. Endpoint and path style are those of
 * the deployment's own S3 storage, if it has one; else those of the SDK (`AWS_ENDPOINT_URL_S3` for look-alikes).
 */
export function callerBuckets(filestorage: FileStorageConfig) {
  const { endpoint, force_path_style, checksum } =
    filestorage.type === 's3'
      ? filestorage
      : { endpoint: undefined, force_path_style: undefined, checksum: 'crc32' as const }
  const stores = new Map<string, ObjectStore>()

  function storeIn(region: string): ObjectStore {
    const known = stores.get(region)
    const store = known ?? objectStore({ region, endpoint, force_path_style, checksum })
    stores.delete(region)
    stores.set(region, store) // last in the map: most recently used
    const [oldest] = stores
    if (oldest && stores.size > MAX_REGIONS) stores.delete(oldest[0]) // its idle connections time out by themselves
    return store
  }

  return {
    /** As `Storage.put`, in a bucket that the caller named. */
    async put(
      { bucket, region }: { bucket: string; region: string },
      file: TempFile,
      path: string,
      options: PutOptions,
      signal: AbortSignal,
    ): Promise<void> {
      const unnamable = bucket.startsWith('arn:') && force_path_style // the SDK takes it for a mistake of ours
      if (!BUCKET.test(bucket) || !REGION.test(region) || unnamable) {
        throw new JobError('storage.not_found', `no bucket can be named ${bucket} in ${region}`, { retriable: false })
      }
      await storeIn(region).put(bucket, file, path, options, signal)
    },
    async close(): Promise<void> {
      await Promise.all([...stores.values()].map((store) => store.close()))
    },
  }
}

export type CallerBuckets = ReturnType<typeof callerBuckets>
