import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import pLimit from 'p-limit'
import type { S3Config } from './config.ts'
import { inTurn } from './in-turn.ts'
import { putInParts, putWhole } from './s3-put.ts'
import { s3Requests } from './s3-requests.ts'
import type { PutOptions, Storage, StoredFile, TempFile } from './storage.ts'

export type ObjectStoreOptions = Pick<S3Config, 'region' | 'endpoint' | 'force_path_style' | 'checksum'> & {
  /** Objects larger than this go up in parts of this size; S3 wants at least 5 MiB. */
  partBytes?: number
  /** How long S3 may neither send nor take anything. */
  silenceMs?: number
}

/** Uploads at once of one process and region, and connections for deletions beside them. */
const UPLOADS = 32
const CONNECTIONS = 2 * UPLOADS
const PART_BYTES = 64 * 1024 * 1024
const SILENCE_MS = 30_000

/** The objects of one region, whatever their bucket. */
export function objectStore({
  checksum,
  partBytes = PART_BYTES,
  silenceMs = SILENCE_MS,
  ...where
}: ObjectStoreOptions) {
  const limit = pLimit(UPLOADS)
  const requests = s3Requests({ ...where, silenceMs, connections: CONNECTIONS })

  return {
    async put(bucket: string, file: TempFile, key: string, options: PutOptions, signal: AbortSignal): Promise<void> {
      const put = { bucket, file, key, options, checksum }
      const upload = () =>
        file.size > partBytes ? putInParts(requests, put, partBytes, signal) : putWhole(requests, put, signal)
      await inTurn(limit, signal, upload).catch((error: unknown) => {
        signal.throwIfAborted()
        throw error
      })
    },

    /** An object that is not there is fine. */
    async delete(bucket: string, key: string, signal: AbortSignal): Promise<void> {
      await requests.send(
        { bucket },
        async (s3, options) => {
          await s3.deleteObject({ Bucket: bucket, Key: key }, options).catch((error: Error) => {
            if (error.name !== 'NoSuchKey') throw error // look-alikes say so
          })
        },
        signal,
      )
    },

    async *list(bucket: string, signal: AbortSignal): AsyncGenerator<StoredFile> {
      let page: ListObjectsV2CommandOutput | undefined
      do {
        const after = page?.NextContinuationToken
        const input = { Bucket: bucket, ...(after !== undefined && { ContinuationToken: after }) }
        page = await requests.send({ bucket }, (s3, options) => s3.listObjectsV2(input, options), signal)
        for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
          signal.throwIfAborted()
          if (LastModified) yield { path: Key, size: Size, modifiedMs: LastModified.getTime() }
        }
      } while (page.NextContinuationToken !== undefined)
    },

    /**
     * Asks for a single key. Not with HEAD, whose refusal has no body: this one says whether it is our credentials that are
     * refused, or only the right to list, which is not needed to store anything.
     */
    async probe(bucket: string, signal: AbortSignal): Promise<void> {
      await requests.send(
        { bucket },
        async (s3, options) => {
          await s3.listObjectsV2({ Bucket: bucket, MaxKeys: 1 }, options).catch((error: Error) => {
            if (error.name !== 'AccessDenied') throw error
          })
        },
        signal,
      )
    },

    close: () => requests.close(),
  }
}

export type ObjectStore = ReturnType<typeof objectStore>

/** Files as objects of one bucket. */
export function s3Storage(config: Omit<S3Config, 'type'> & ObjectStoreOptions): Storage {
  const { bucket, region } = config
  const store = objectStore(config)
  return {
    name: `s3:${region}/${bucket}`,
    async put(file, path, options, signal) {
      await store.put(bucket, file, path, options, signal)
      return { moved: false }
    },
    delete: (path, signal) => store.delete(bucket, path, signal),
    list: (signal) => store.list(bucket, signal),
    probe: (signal) => store.probe(bucket, signal),
    close: () => store.close(),
  }
}
