import { constants, createWriteStream } from 'node:fs'
import { type FileHandle, rename, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import zlib from 'node:zlib'
import type { Checksum } from '../jobs/checksum.ts'
import type { Version } from './fetch/version.ts'
import { type Checkpoint, type Note, type OpenNote, openOurs, readNote, writeNote } from './note.ts'
import { type Inheritance, type Spool, spoolOf } from './spool.ts'
import type { TempFiles } from './temp-files.ts'
import { type Digests, digests } from './verify/digests.ts'
import { SNIFF_BYTES } from './verify/mime.ts'

export interface PartialsOptions {
  files: TempFiles
  /** Whether a job is still to be downloaded. */
  isWanted: (jobId: string) => Promise<boolean>
  /** False: nothing is kept, and what was kept is not used. */
  resume: boolean
}

/**
 * The partial files that attempts leave to the next ones, of this process or another that sees the same `storage_dir`.
 * A file belongs to the attempt that it is named after; a note says which one is the latest of a job. What nobody
 * writes any more is taken over by a rename, anything else is copied: its writer may only be frozen.
 */
export function partials({ files, isWanted, resume }: PartialsOptions) {
  /** Makes what was left the file at `path`; a note says so before anything that takes long. */
  async function inherit(
    { jobId, path, checksum }: { jobId: string; path: string; checksum: Checksum | undefined },
    signal: AbortSignal,
  ): Promise<Inheritance | undefined> {
    const noted = files.notePathOf(jobId)
    const note = await readNote(noted)
    const old = note && files.locate(jobId, note.data)
    if (!note || !old) return
    if (note.released || files.isFree(old)) await rename(old, path)
    else await copy(old, path, note.checkpoints.at(-1)?.bytes ?? 0, signal)
    const handle = await openOurs(path, constants.O_RDWR)
    if (!handle) return
    let before: Inheritance | undefined
    let own: OpenNote | undefined
    try {
      own = await writeNote(noted, path, note.version, note.checkpoints)
      const valid = await verified(handle, note, checksum, signal)
      if (valid) {
        await handle.truncate(valid.size)
        const noteOfIt = await writeNote(noted, path, note.version, [{ bytes: valid.size, crc32: valid.crc32 }])
        before = { ...valid, version: note.version, handle, note: noteOfIt }
      } else await files.remove(noted)
      return before
    } finally {
      if (!before) await handle.close()
      if (signal.aborted) await own?.release()
      await own?.close()
    }
  }

  return {
    /** An empty spool: what comes begins at the file's beginning. */
    begin(jobId: string, checksum: Checksum | undefined, version: Version | undefined): Spool {
      return spoolOf({ files, jobId, path: files.pathOf(jobId), checksum, version: resume ? version : undefined })
    },

    /**
     * What an earlier attempt has left, verified, and this one's from now on; undefined where there is nothing.
     *
     * @throws the signal's reason, when it aborts
     */
    async take(jobId: string, checksum: Checksum | undefined, signal: AbortSignal): Promise<Spool | undefined> {
      if (!resume) return
      const path = files.pathOf(jobId)
      const before = await inherit({ jobId, path, checksum }, signal).catch(() => undefined)
      if (before) return spoolOf({ files, jobId, path, checksum, version: before.version }, before)
      files.letGoOf(path)
      signal.throwIfAborted() // what was taken over lies there, with its note
      await files.remove(path)
      return undefined
    },

    /** The job needs nothing more: what was left of it goes, unless somebody may still write it. */
    async drop(jobId: string): Promise<void> {
      const noted = files.notePathOf(jobId)
      const note = await readNote(noted)
      const file = note && files.locate(jobId, note.data)
      if (!file || !(note.released || files.isFree(file))) return
      await files.remove(noted)
      await files.remove(file)
    },

    /**
     * Removes what dead processes have left, but for what jobs can still go on with. Resolves to how many.
     *
     * @param full the disk is: nothing is worth keeping
     */
    async sweep(full = false): Promise<number> {
      const left = await files.leftBehind()
      const kept = new Set<string>()
      for (const jobId of left.notes) {
        const noted = files.notePathOf(jobId)
        const note = await readNote(noted)
        if (await isKept(jobId, noted, note, full)) {
          const file = note && files.locate(jobId, note.data)
          if (file) kept.add(file)
        } else await files.remove(noted)
      }
      const unneeded = left.files.filter((file) => !kept.has(file))
      for (const file of unneeded) await files.remove(file)
      return unneeded.length
    },
  }

  async function isKept(jobId: string, noted: string, note: Note | undefined, full: boolean): Promise<boolean> {
    const file = note && files.locate(jobId, note.data)
    const free = file !== undefined && (note?.released || files.isFree(file))
    if (free && (full || !resume)) return false
    const info = await stat(noted).catch(() => undefined)
    if (!info) return false
    if (Date.now() - info.mtimeMs < files.minAgeMs) return true
    return file !== undefined && (await isWanted(jobId))
  }
}

export type Partials = ReturnType<typeof partials>

const READ_BYTES = 1024 * 1024

/** What a partial file surely holds: its bytes up to the last checkpoint that is right, and not all of the file. */
async function verified(
  handle: FileHandle,
  { checkpoints, version }: Note,
  checksum: Checksum | undefined,
  signal: AbortSignal,
) {
  const digest = digests(checksum)
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  let head: Buffer | undefined
  let valid: { size: number; crc32: number; digest: Digests; head: Buffer } | undefined
  let at = 0
  let crc32 = 0
  for (const checkpoint of checkpoints) {
    // the origin is asked in any case, and of a whole file there would be nothing to ask for
    if (checkpoint.bytes >= version.size || !(await readTo(checkpoint))) break
    if (head) valid = { size: at, crc32, digest: digest.copy(), head }
  }
  return valid

  async function readTo({ bytes, crc32: expected }: Checkpoint): Promise<boolean> {
    while (at < bytes) {
      signal.throwIfAborted()
      const { bytesRead } = await handle.read(buffer, 0, Math.min(READ_BYTES, bytes - at), at)
      if (bytesRead === 0) return false
      const piece = buffer.subarray(0, bytesRead)
      head ??= Buffer.from(piece.subarray(0, SNIFF_BYTES))
      digest.update(piece)
      crc32 = zlib.crc32(piece, crc32)
      at += bytesRead
    }
    return crc32 === expected
  }
}

async function copy(from: string, to: string, bytes: number, signal: AbortSignal): Promise<void> {
  const handle = bytes > 0 ? await openOurs(from, constants.O_RDONLY) : undefined
  if (!handle) throw new Error('there is nothing to copy')
  const source = handle.createReadStream({ start: 0, end: bytes - 1, highWaterMark: READ_BYTES })
  await pipeline(source, createWriteStream(to, { flags: 'wx' }), { signal })
}
