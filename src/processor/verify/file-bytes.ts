import type { FileHandle } from 'node:fs/promises'
import { JobError } from '../../jobs/errors.ts'

/** A complete file whose first bytes, at least, are in memory. */
export interface OpenFile {
  /** Open for reading; stays open. Needed where the head is not all. */
  handle?: FileHandle | undefined
  /** The first bytes, or all of them. */
  head: Uint8Array
  /** bytes */
  size: number
}

export interface FileBytes {
  /** bytes of the file */
  readonly size: number
  /**
   * A copy of the bytes from `offset` on: `length` of them, or fewer at the end of the file. Reads the disk only for
   * what is neither in the head nor among the bytes read last.
   *
   * @throws {JobError} `storage.failed`
   * @throws the signal's reason, when it aborts
   */
  at(offset: number, length: number): Promise<Buffer>
}

/** A read from disk fetches at least this many bytes, so that a walk over small pieces needs few reads. */
const WINDOW_BYTES = 4096

/** Positioned access to a file for parsers that want a few bytes here and there. */
export function fileBytes({ handle, head, size }: OpenFile, signal: AbortSignal): FileBytes {
  let window = { offset: 0, bytes: Buffer.from(head.buffer, head.byteOffset, head.byteLength) }

  return {
    size,
    async at(offset, length) {
      const wanted = Math.min(length, size - offset)
      if (wanted <= 0) return Buffer.alloc(0)
      for (const { offset: start, bytes } of [{ offset: 0, bytes: head }, window]) {
        if (offset >= start && offset + wanted <= start + bytes.length) {
          return Buffer.from(bytes.subarray(offset - start, offset - start + wanted))
        }
      }
      signal.throwIfAborted()
      window = { offset, bytes: await read(handle, offset, Math.min(Math.max(wanted, WINDOW_BYTES), size - offset)) }
      signal.throwIfAborted()
      return Buffer.from(window.bytes.subarray(0, wanted))
    },
  }
}

async function read(handle: FileHandle | undefined, offset: number, length: number): Promise<Buffer> {
  if (!handle) throw new Error('a file of which only the head is given is not longer than that')
  const buffer = Buffer.alloc(length)
  let filled = 0
  try {
    while (filled < length) {
      const { bytesRead } = await handle.read(buffer, filled, length - filled, offset + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
  } catch (cause) {
    throw new JobError('storage.failed', 'the temporary file could not be read', { retriable: true, cause })
  }
  return buffer.subarray(0, filled)
}
