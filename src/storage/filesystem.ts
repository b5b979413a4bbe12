import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, opendir, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import pLimit from 'p-limit'
import { JobError } from '../jobs/errors.ts'
import { diskLanes } from './disk-lanes.ts'
import { inTurn } from './in-turn.ts'
import type { PutOptions, Storage, StoredFile, TempFile } from './storage.ts'

/** fsyncs of large files at once: libuv's pool has four threads, and some stay free for everything else. */
const SYNCS = 2
/** Where files are copied to that come from another filesystem; under the root, so that a rename ends it. */
const COPIES = '.tmp'
/** A copy that was not written to for that long belongs to nobody. */
const STALE_COPY_MS = 3_600_000

/**
 * Files under `rootdir`. A file is synced, put in place by one rename, and its folder synced, so that what a callback
 * promises survives a power cut and no path ever shows half a file.
 */
export function filesystemStorage({ rootdir }: { rootdir: string }): Storage {
  const root = path.resolve(rootdir)
  const limit = pLimit(SYNCS)
  const lanes = diskLanes()

  return {
    name: 'filesystem',

    async put(file, relative, { confirm }, signal) {
      const target = inside(root, relative)
      let moved = false
      try {
        signal.throwIfAborted()
        if (file.bytes) await lanes.write(file.path, file.bytes)
        else await inTurn(limit, signal, () => file.handle.sync())
        signal.throwIfAborted()
        moved = await moveInto(file.path, target, confirm)
        if (!moved) await copyInto(file, target, confirm, signal)
        return { moved }
      } catch (error) {
        signal.throwIfAborted()
        throw storageFailure(error, 'stored')
      } finally {
        if (file.bytes && !moved) await rm(file.path, { force: true }).catch(() => {}) // we wrote it, if anybody
      }
    },

    async delete(relative, signal) {
      signal.throwIfAborted()
      await lanes.remove(inside(root, relative), root).catch((error: unknown) => {
        throw storageFailure(error, 'deleted')
      })
    },

    async *list(signal) {
      try {
        yield* filesIn(root, '', signal)
      } catch (error) {
        signal.throwIfAborted()
        throw storageFailure(error, 'listed')
      }
    },

    async sweep() {
      const folder = path.join(root, COPIES)
      const entries = await opendir(folder).catch(() => undefined)
      if (!entries) return
      for await (const { name } of entries) {
        const file = path.join(folder, name)
        const info = await stat(file).catch(() => undefined)
        if (info?.isFile() && Date.now() - info.mtimeMs > STALE_COPY_MS) await rm(file, { force: true })
      }
    },

    close: () => lanes.close(),
  }

  /** @returns false when the file is on another filesystem */
  async function moveInto(file: string, target: string, confirm: PutOptions['confirm']): Promise<boolean> {
    try {
      await lanes.place(file, target, confirm)
      return true
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EXDEV') return false
      throw error
    }
  }

  async function copyInto(
    file: TempFile,
    target: string,
    confirm: PutOptions['confirm'],
    signal: AbortSignal,
  ): Promise<void> {
    await mkdir(path.join(root, COPIES), { recursive: true })
    const copy = path.join(root, COPIES, `${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
    try {
      await pipeline(createReadStream(file.path), createWriteStream(copy, { flags: 'wx', flush: true }), { signal })
      if (await moveInto(copy, target, confirm)) return
      throw new JobError('storage.failed', 'the root spans several filesystems', { retriable: true })
    } finally {
      await rm(copy, { force: true })
    }
  }
}

/** Links are not followed. What goes away meanwhile is passed over. */
async function* filesIn(root: string, folder: string, signal: AbortSignal): AsyncGenerator<StoredFile> {
  const entries = await opendir(path.join(root, folder)).catch(unlessGone)
  if (!entries) return
  for await (const entry of entries) {
    signal.throwIfAborted()
    const relative = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory() && relative !== COPIES) yield* filesIn(root, relative, signal)
    if (!entry.isFile()) continue
    const info = await stat(path.join(root, relative)).catch(unlessGone)
    if (info) yield { path: relative, size: info.size, modifiedMs: info.mtimeMs }
  }
}

function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** Paths come from us, so one that could leave the root is a bug. */
function inside(root: string, relative: string): string {
  if (/[\\\0]/.test(relative) || relative.split('/').some((part) => ['', '.', '..'].includes(part))) {
    throw new Error(`${JSON.stringify(relative)} is not a path under the root`)
  }
  return path.join(root, relative)
}

const FULL = ['ENOSPC', 'EDQUOT']
const DENIED = ['EACCES', 'EPERM', 'EROFS']

/** All of them may pass: an operator mends a disk or its rights while the job waits for its retry. */
function storageFailure(error: unknown, what: string): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (typeof code !== 'string' || error instanceof JobError) return error
  const text = `the file could not be ${what}: ${code}`
  if (FULL.includes(code)) return new JobError('storage.full', text, { retriable: true, cause: error })
  if (DENIED.includes(code)) return new JobError('storage.denied', text, { retriable: true, cause: error })
  return new JobError('storage.failed', text, { retriable: true, cause: error })
}
