import { randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, opendir, rename, rm, rmdir, stat, unlink } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import pLimit from 'p-limit'
import { JobError } from '../jobs/errors.ts'
import { inTurn } from './in-turn.ts'
import type { Put, PutOptions, Storage, TempFile } from './storage.ts'
import { syncFolder } from './sync-folder.ts'

/** fsyncs at once: libuv's pool has four threads, and one stays free for everything else. */
const SYNCS = 3
/** An empty folder may be removed by a deletion between its making and the rename into it. */
const TRIES = 5
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

  return {
    name: 'filesystem',

    async put(file, relative, { confirm }, signal) {
      const target = inside(root, relative)
      try {
        await inTurn(limit, signal, () => file.handle.sync())
        signal.throwIfAborted()
        const moved = await moveInto(file.path, target, confirm)
        if (moved) return { moved }
        return await copyInto(file, target, confirm, signal)
      } catch (error) {
        signal.throwIfAborted()
        throw storageFailure(error, 'stored')
      }
    },

    async delete(relative, signal) {
      signal.throwIfAborted()
      const target = inside(root, relative)
      await unlink(target).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw storageFailure(error, 'deleted')
      })
      // the folder of the id's first characters, when this was its last file
      const folder = path.dirname(target)
      if (folder !== root) await rmdir(folder).catch(() => {})
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

    async close() {},
  }

  /** @returns false when the file is on another filesystem */
  async function moveInto(file: string, target: string, confirm: PutOptions['confirm']): Promise<boolean> {
    let made: string | undefined
    for (let tries = 1; ; tries++) {
      try {
        confirm()
        await rename(file, target)
        break
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === 'EXDEV') return false
        if (code !== 'ENOENT' || tries === TRIES) throw error
        const highest = await mkdir(path.dirname(target), { recursive: true })
        if (highest !== undefined && (made === undefined || highest.length < made.length)) made = highest
      }
    }
    await syncFolders(path.dirname(target), made)
    return true
  }

  async function copyInto(
    file: TempFile,
    target: string,
    confirm: PutOptions['confirm'],
    signal: AbortSignal,
  ): Promise<Put> {
    await mkdir(path.join(root, COPIES), { recursive: true })
    const copy = path.join(root, COPIES, `${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
    try {
      await pipeline(createReadStream(file.path), createWriteStream(copy, { flags: 'wx', flush: true }), { signal })
      if (await moveInto(copy, target, confirm)) return { moved: false }
      throw new JobError('storage.failed', 'the root spans several filesystems', { retriable: true })
    } finally {
      await rm(copy, { force: true })
    }
  }

  /** Makes the new names durable: that of the file, and those of the folders that were made for it. */
  async function syncFolders(folder: string, made: string | undefined): Promise<void> {
    const last = made === undefined ? folder : path.dirname(made)
    for (let at = folder; ; at = path.dirname(at)) {
      await limit(() => syncFolder(at))
      if (at === last || at === path.dirname(at)) return
    }
  }
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
