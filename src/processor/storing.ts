import { filePath } from '../jobs/job.ts'
import type { CallerBuckets } from '../storage/caller-buckets.ts'
import { metadataFromExtra } from '../storage/metadata.ts'
import type { Storage } from '../storage/storage.ts'
import type { AttemptDeps } from './attempt.ts'

/** Stores in the caller's own bucket when the job names one, and else in the deployment's storage. */
export function storing(storage: Storage, buckets: CallerBuckets): AttemptDeps['store'] {
  return async (job, request, file, options, signal) => {
    const path = filePath(job.id, request.subpath)
    const { s3Bucket: bucket, s3Region: region } = request
    if (bucket && region) {
      const metadata = metadataFromExtra(request.extra ?? '')
      await buckets.put({ bucket, region }, file, path, { ...options, metadata }, signal)
      return { path: undefined, moved: false } // the caller's: never deleted by us
    }
    const { moved } = await storage.put(file, path, options, signal)
    return { path, moved }
  }
}
