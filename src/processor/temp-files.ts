import { createHash, randomBytes } from 'node:crypto'
import { readlinkSync } from 'node:fs'
import { type FileHandle, mkdir, open, opendir, rm, stat } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { JobError } from '../jobs/errors.ts'

/**
 * Names a process for those that sweep up after it: `<host>-<pid>-<random>`. The first part is that of all processes
 * that see each other's process ids.
 */
export function instanceName(): string {
  return `${hostMark()}-${process.pid}-${randomBytes(4).toString('hex')}`
}

function hostMark(): string {
  let pidNamespace = ''
  try {
    pidNamespace = readlinkSync('/proc/self/ns/pid')
  } catch {} // not Linux: one namespace a host
  return createHash('sha256').update(`${os.hostname()} ${pidNamespace}`).digest('hex').slice(0, 8)
}

const TEMP_NAME = /^[A-Za-z0-9_-]{14}\.(([0-9a-f]{8})-(\d+)-[0-9a-f]{8})-\d+\.tmp$/

export interface TempFilesOptions {
  dir: string
  instance: string
  /** A file of a process that cannot be asked whether it lives is left alone until it is this old. */
  minAgeMs: number
  /** The instances that reported lately, here and on other hosts. */
  alive: () => Promise<Set<string>>
}

/** The temporary files of downloads: directly in `storage_dir`, named after the job and the process. */
export function tempFiles({ dir, instance, minAgeMs, alive }: TempFilesOptions) {
  let attempts = 0
  return {
    /** Makes sure that the folder is there. */
    async prepare(): Promise<void> {
      await mkdir(dir, { recursive: true })
    },

    /** A new name for each attempt: one that lost its lease may still write while the next one runs, in this process, too. */
    pathOf: (jobId: string): string => path.join(dir, `${jobId}.${instance}-${++attempts}.tmp`),

    /**
     * Creates a file, and the folder, should somebody have removed it.
     *
     * @throws {JobError} `storage.*`
     */
    async create(file: string): Promise<FileHandle> {
      const create = () => open(file, 'wx+')
      try {
        return await create().catch(async (error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error
          await mkdir(dir, { recursive: true })
          return create()
        })
      } catch (error) {
        throw tempFileFailure(error)
      }
    },

    /** Removes the files of processes that are dead, and nothing else. Resolves to how many. */
    async sweep(): Promise<number> {
      let removed = 0
      let living: Set<string> | undefined
      for await (const entry of await opendir(dir)) {
        const match = TEMP_NAME.exec(entry.name)
        const [, owner, host, pid] = match ?? []
        if (!owner || !entry.isFile() || owner === instance) continue
        const file = path.join(dir, entry.name)
        if (!(host === hostMark() && isDead(Number(pid)))) {
          living ??= await alive()
          const info = await stat(file).catch(() => undefined)
          if (!info || living.has(owner) || Date.now() - info.mtimeMs < minAgeMs) continue
        }
        await rm(file, { force: true })
        removed++
      }
      return removed
    },
  }
}

export type TempFiles = ReturnType<typeof tempFiles>

/** What it means for a job that its temporary file could not be created or written: it may pass. */
export function tempFileFailure(cause: unknown): JobError {
  const { code = 'unknown' } = cause as NodeJS.ErrnoException
  const options = { retriable: true, cause }
  return ['ENOSPC', 'EDQUOT'].includes(code)
    ? new JobError('storage.full', 'no space left for the temporary file', options)
    : new JobError('storage.failed', `the temporary file could not be written: ${code}`, options)
}

/** Whether no process of this id runs on this host, or only this one, which does not own the file. */
function isDead(pid: number): boolean {
  if (pid === process.pid) return true
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
