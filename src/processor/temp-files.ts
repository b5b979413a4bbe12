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

const TEMP_NAME = /^[A-Za-z0-9_-]{14}\.(([0-9a-f]{8})-(\d+)-[0-9a-f]{8})-\d+(\.resume)?\.tmp$/
const NOTE_NAME = /^([A-Za-z0-9_-]{14})\.resume\.tmp$/

export interface TempFilesOptions {
  dir: string
  instance: string
  /** A file of a process that cannot be asked whether it lives is left alone until it is this old. */
  minAgeMs: number
  /** The instances that reported lately, here and on other hosts. */
  alive: () => Promise<Set<string>>
}

/** What lies in `storage_dir` and nobody writes. */
export interface LeftBehind {
  /** Paths of temporary files. */
  files: string[]
  /** Jobs that have a note about one of them. */
  notes: string[]
}

/** The temporary files of downloads: directly in `storage_dir`, named after the job and the process. */
export function tempFiles({ dir, instance, minAgeMs, alive }: TempFilesOptions) {
  let attempts = 0
  const inUse = new Set<string>()
  return {
    minAgeMs,

    /** Makes sure that the folder is there. */
    async prepare(): Promise<void> {
      await mkdir(dir, { recursive: true })
    },

    /**
     * A new path for each attempt, in use until it is let go of: one that lost its lease may still write while the next
     * one runs, in this process, too.
     */
    pathOf(jobId: string): string {
      const file = path.join(dir, `${jobId}.${instance}-${++attempts}.tmp`)
      inUse.add(file)
      return file
    },

    /** Nothing of this process writes to it any more. */
    letGoOf(file: string): void {
      inUse.delete(file)
    },

    /** Where the note about a partial file of a job lies, whoever wrote it; it is written beside its file. */
    notePathOf: (jobId: string): string => path.join(dir, `${jobId}.resume.tmp`),

    /** @returns undefined unless `name` is one of ours for this job: names are read from files, too */
    locate(jobId: string, name: string): string | undefined {
      const match = TEMP_NAME.exec(name)
      return match && !match[4] && name.startsWith(`${jobId}.`) ? path.join(dir, name) : undefined
    },

    /** Whether a temporary file is surely not written to any more. */
    isFree(file: string): boolean {
      const [, owner, host, pid] = TEMP_NAME.exec(path.basename(file)) ?? []
      return owner === instance
        ? !inUse.has(file.replace(/\.resume\.tmp$/, '.tmp'))
        : host === hostMark() && isDead(Number(pid))
    },

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

    /** The files of dead processes, and those that this one has let go of. */
    async leftBehind(): Promise<LeftBehind> {
      const left: LeftBehind = { files: [], notes: [] }
      let living: Set<string> | undefined
      for await (const entry of await opendir(dir)) {
        if (!entry.isFile()) continue
        const [, noted] = NOTE_NAME.exec(entry.name) ?? []
        if (noted) left.notes.push(noted)
        const [, owner] = TEMP_NAME.exec(entry.name) ?? []
        if (!owner) continue
        const file = path.join(dir, entry.name)
        if (!this.isFree(file)) {
          if (owner === instance) continue
          living ??= await alive()
          const info = await stat(file).catch(() => undefined)
          if (!info || living.has(owner) || Date.now() - info.mtimeMs < minAgeMs) continue
        }
        left.files.push(file)
      }
      return left
    },

    async remove(file: string): Promise<void> {
      await rm(file, { force: true })
    },
  }
}

export type TempFiles = ReturnType<typeof tempFiles>

/** What it means for a job that its temporary file could not be created or written: it may pass. */
export function tempFileFailure(cause: unknown): JobError {
  const { code = 'unknown' } = cause as NodeJS.ErrnoException
  const options = { retriable: true, cause } as const
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
