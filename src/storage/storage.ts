import type { FileHandle } from 'node:fs/promises'

/** What was downloaded, whole and verified. Whoever made it closes the handle and removes what is left of it. */
export type TempFile = {
  /** In `storage_dir`: where the content lies, or may be written when it is in memory. */
  path: string
  /** bytes */
  size: number
  /** CRC-32 of the content, as `zlib.crc32` gives it. */
  crc32: number
} & ({ handle: FileHandle; bytes?: undefined } | { bytes: Buffer; handle?: undefined })

export interface PutOptions {
  /** Found type of the content, e.g. `image/png`. */
  mimeType: string
  /** Kept with the object where the storage can (S3 user metadata); ignored elsewhere. */
  metadata?: Record<string, string>
  /** Called right before the file becomes visible; throws when it must not any more (the claim was lost). */
  confirm(): void
}

export interface Put {
  /** Whether the temporary file itself became the stored one, so that there is nothing left to remove. */
  moved: boolean
}

/** A file as it lies in a storage. */
export interface StoredFile {
  /** Relative, as it was put. */
  path: string
  /** bytes */
  size: number
  /** When it was written, ms since the epoch, by the storage's clock. */
  modifiedMs: number
}

/** Where files rest. Every implementation passes `test/conformance/storage.ts`. */
export interface Storage {
  /** Names the deletions room of what is stored here: `filesystem`, `s3:<region>/<bucket>`. */
  readonly name: string

  /**
   * Puts a temporary file in place under `path`, whole or not at all; an existing file there is replaced.
   *
   * @param path relative, `/`-separated, e.g. `6QE/6QEywYsd0jrKAg`
   * @throws {JobError} `storage.*`
   * @throws whatever `confirm` throws, and the signal's reason when it aborts
   */
  put(file: TempFile, path: string, options: PutOptions, signal: AbortSignal): Promise<Put>

  /** Removes a file; one that is not there is fine. @throws {JobError} `storage.*` */
  delete(path: string, signal: AbortSignal): Promise<void>

  /**
   * Every file that there is, whoever put it there, in no order; of what is under way nothing. Holds a page at a time.
   *
   * @throws {JobError} `storage.*`
   */
  list(signal: AbortSignal): AsyncIterable<StoredFile>

  /** Resolves when files could be put here now, as far as can be told without one. @throws {JobError} `storage.*` */
  probe?(signal: AbortSignal): Promise<void>

  /** Removes what interrupted `put`s left behind, if the storage keeps any of it. */
  sweep?(): Promise<void>

  close(): Promise<void>
}
