import type { FileStorageConfig } from './config.ts'
import { filesystemStorage } from './filesystem.ts'
import { s3Storage } from './s3.ts'
import type { Storage } from './storage.ts'

/** The storage that `processor.filestorage` asks for. */
export function storageFor(config: FileStorageConfig): Storage {
  return config.type === 's3' ? s3Storage(config) : filesystemStorage(config)
}
