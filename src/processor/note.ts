import { constants } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import type { Version } from './fetch/version.ts'

// {"data":"6QEywYsd0jrKAg.0a1b2c3d-4711-9f8e7d6c-1.tmp","version":{"url":…,"validator":…,"encoding":…,"size":…}}
// 1048576 3735928559        bytes, and their CRC-32
// 2097152 305419896
// released                  nobody writes to the file any more

/** What is known of a partial file: enough to go on with it, also when the process that wrote it was killed. */
export interface Note {
  /** Name of the partial file. */
  data: string
  version: Version
  checkpoints: Checkpoint[]
  /** Its writer has closed it. */
  released: boolean
}

/** So many first bytes of a file have this CRC-32: what a power cut or another host's cache has left out, shows. */
export interface Checkpoint {
  bytes: number
  crc32: number
}

/** A note that is being written. */
export interface OpenNote {
  add(checkpoint: Checkpoint): Promise<void>
  release(): Promise<void>
  close(): Promise<void>
}

const Head = z.object({
  data: z.string(),
  version: z.object({ url: z.string(), validator: z.string(), encoding: z.string(), size: z.number().int() }),
})

const MAX_NOTE_BYTES = 256 * 1024

/** Writes a note beside `file`, and puts it in place at `to` by one rename: what is read there was written by one. */
export async function writeNote(to: string, file: string, version: Version, known: Checkpoint[]): Promise<OpenNote> {
  const beside = file.replace(/\.tmp$/, '.resume.tmp')
  const handle = await open(beside, 'wx', 0o600)
  try {
    const head = JSON.stringify({ data: path.basename(file), version })
    await handle.writeFile(`${head}\n${known.map(lineOf).join('')}`)
    await rename(beside, to)
  } catch (error) {
    await handle.close()
    await rm(beside, { force: true })
    throw error
  }
  return {
    add: (checkpoint) => handle.writeFile(lineOf(checkpoint)),
    release: () => handle.writeFile('released\n'),
    close: () => handle.close(),
  }
}

const lineOf = ({ bytes, crc32 }: Checkpoint) => `${bytes} ${crc32}\n`

/** @returns undefined where there is none, or nothing that can be made use of */
export async function readNote(file: string): Promise<Note | undefined> {
  const handle = await openOurs(file, constants.O_RDONLY)
  if (!handle) return
  try {
    const { size } = await handle.stat()
    return size > MAX_NOTE_BYTES ? undefined : parseNote(await handle.readFile('utf8'))
  } catch {
    return
  } finally {
    await handle.close()
  }
}

/** A line that was not written to its end says nothing, nor does anything behind one that makes no sense. */
function parseNote(text: string): Note | undefined {
  const [head = '', ...lines] = text.split('\n').slice(0, -1)
  const checkpoints: Checkpoint[] = []
  let last = 0
  let released = false
  for (const line of lines) {
    const [, bytes, crc32] = /^(\d{1,15}) (\d{1,10})$/.exec(line) ?? []
    released = line === 'released'
    if (released || Number(bytes) <= last) break
    if (bytes === undefined || crc32 === undefined) break
    last = Number(bytes)
    checkpoints.push({ bytes: last, crc32: Number(crc32) })
  }
  const { success, data } = Head.safeParse(JSON.parse(head))
  return success ? { ...data, checkpoints, released } : undefined
}

/**
 * Opens a file of this user; `storage_dir` may be `/tmp`, where others can put files and links.
 *
 * @returns undefined where there is none
 */
export async function openOurs(file: string, flags: number): Promise<FileHandle | undefined> {
  const handle = await open(file, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined)
  if (!handle) return
  const info = await handle.stat()
  if (info.isFile() && (process.getuid === undefined || info.uid === process.getuid())) return handle
  await handle.close()
  return undefined
}
