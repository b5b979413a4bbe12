import type { FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import zlib from 'node:zlib'
import type { Checksum } from '../jobs/checksum.ts'
import type { TempFile } from '../storage/storage.ts'
import { type Rest, type Version, WORTH_BYTES } from './fetch/version.ts'
import { type OpenNote, readNote, writeNote } from './note.ts'
import { type TempFiles, tempFileFailure } from './temp-files.ts'
import { type Digests, digests } from './verify/digests.ts'

/**
 * What has come of a file, with its sums. Up to `WRITE_BYTES` stay in memory; all but the last piece of more goes to a
 * temporary file. From `WORTH_BYTES` on, a note beside it lets another attempt go on.
 *
 *   in memory ──▶ spilling ──▶ noted ──▶ kept: another attempt's
 *       └────────────┴───────────┴─────▶ closed: stored, or removed
 */
export interface Spool {
  /** Bytes that came. */
  size(): number
  /** First bytes of what was there when this attempt began. */
  readonly head: Buffer
  /** Which file this is; where that is not known, nothing can be kept. */
  readonly version: Version | undefined
  /** What is missing, where an earlier attempt has left something. */
  rest(): Rest | undefined
  /** @returns whether there is so much in memory that it is time to `spill` */
  add(chunk: Uint8Array): boolean
  /** Begins to write it. @throws {JobError} `storage.*`, also for the piece before */
  spill(): Promise<void>
  /** When all has come. @throws {JobError} `storage.*`, `verify.checksum` */
  finish(): Promise<{ file: TempFile; sha256: string }>
  /** Leaves what came to the next attempt, if it is worth it. Never rejects. */
  keep(): Promise<void>
  /** Whether the temporary file became the stored one. */
  stored: boolean
  /** Lets go of everything; removes what is neither stored nor kept. May be called again. */
  close(): Promise<void>
}

/** What an earlier attempt has left, as this one found it. */
export interface Inheritance {
  version: Version
  /** For writing; the spool closes it. */
  handle: FileHandle
  size: number
  digest: Digests
  crc32: number
  head: Buffer
  note: OpenNote | undefined
}

const nothing = Buffer.alloc(0)

/** What was received is gathered up to this size before it is written; a body that stays below is never spilled. */
const WRITE_BYTES = 256 * 1024
/** Checkpoints are a MiB apart; in large files so far that these are enough. */
const MOST_CHECKPOINTS = 1024

export interface SpoolOptions {
  files: TempFiles
  jobId: string
  /** This attempt's, from `TempFiles.pathOf`. */
  path: string
  version: Version | undefined
  /** What the job expects. */
  checksum: Checksum | undefined
}

export function spoolOf(options: SpoolOptions, before?: Inheritance): Spool {
  const { files, jobId, path, version } = options
  const digest = before?.digest ?? digests(options.checksum)
  let crc32 = before?.crc32 ?? 0
  let size = before?.size ?? 0
  let handle = before?.handle
  let onDisk = before !== undefined
  let writing: Promise<void> | undefined
  let written = size
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let note = before?.note
  let checked = size
  let kept = false

  /** While a piece is written, the next one comes: only the third has to wait. */
  async function spill(): Promise<void> {
    await writing
    writing = write(joined(waiting), crc32)
    writing.catch(() => {}) // whoever waits for it is told
    waiting = []
    waitingBytes = 0
  }

  async function write(bytes: Buffer, crc32: number): Promise<void> {
    handle ??= await files.create(path)
    onDisk = true
    await writeFully(handle, bytes, written)
    written += bytes.length
    const step = Math.max(WORTH_BYTES, (version?.size ?? 0) / MOST_CHECKPOINTS)
    if (written - checked >= step) await check(crc32)
  }

  /** A note that cannot be written is missed only when something breaks. */
  async function check(crc32: number): Promise<void> {
    if (!version) return
    checked = written
    const checkpoint = { bytes: written, crc32 }
    try {
      if (note) await note.add(checkpoint)
      else note = await writeNote(files.notePathOf(jobId), path, version, [checkpoint])
    } catch {}
  }

  /** Whether no other attempt, of a process that held this one for dead, has gone on from here. */
  async function isLatest(): Promise<boolean> {
    return (await readNote(files.notePathOf(jobId)))?.data === basename(path)
  }

  const spool: Spool = {
    version,
    stored: false,
    head: before?.head ?? nothing,
    size: () => size, // a getter would give each spool a hidden class of its own, which is dear to collect
    rest: () => version && before && { version, from: size },

    add(chunk) {
      if (chunk.length === 0) return false // of which zlib.crc32 says 0, whatever came before
      digest.update(chunk)
      crc32 = zlib.crc32(chunk, crc32)
      size += chunk.length
      waiting.push(chunk)
      waitingBytes += chunk.length
      return waitingBytes >= WRITE_BYTES
    },
    spill,

    async finish() {
      const last = joined(waiting)
      if (onDisk || writing !== undefined) await spill()
      await writing
      const content = handle ? { handle } : { bytes: last }
      return { file: { path, size, crc32, ...content }, sha256: digest.verified() }
    },

    async keep() {
      if (!version || size < WORTH_BYTES) return
      try {
        if (waitingBytes > 0) await spill()
        await writing
        if (checked < written || !note) await check(crc32)
        await handle?.close() // in this order: who reads `released` takes the file over
        handle = undefined
        await note?.release()
        kept = await isLatest()
      } catch {} // then it is removed
    },

    async close() {
      await writing?.catch(() => {})
      if (!onDisk) return files.letGoOf(path)
      try {
        await handle?.close()
        if (onDisk && !spool.stored && !kept) await files.remove(path)
        if (note && !kept && (await isLatest())) await files.remove(files.notePathOf(jobId))
      } finally {
        await note?.close()
        files.letGoOf(path)
      }
    },
  }
  return spool
}

function joined(chunks: Uint8Array[]): Buffer {
  const [only] = chunks
  return chunks.length === 1 && Buffer.isBuffer(only) ? only : Buffer.concat(chunks)
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  try {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done)
      done += bytesWritten
    }
  } catch (error) {
    throw tempFileFailure(error)
  }
}
