import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

/** Nobody holds the lock for longer: what is older was left by a process that died. */
const LONGEST_HOLD_MS = 30_000
const LONGEST_WAIT_MS = 60_000

/**
 * Runs `work` while no other process of this machine runs its own under the same name in `dir`.
 *
 * The lock is a folder that holds one file, named after its holder. It is taken by renaming a prepared folder to it,
 * which replaces an empty folder and fails for any other (rename(2)), so exactly one succeeds; it is let go of by
 * removing the file. A dead holder's file is removed by its name: should another have taken the lock meanwhile, that
 * one's file has another name.
 *
 * @param work takes less than 30 s
 * @throws {Error} when others hold the lock for a minute
 */
export async function exclusively<T>(dir: string, name: string, work: () => Promise<T>): Promise<T> {
  const lock = path.join(dir, name)
  const holder = `${process.pid}-${randomBytes(6).toString('hex')}`
  const prepared = path.join(dir, `${name}-${holder}`)
  await mkdir(prepared)
  try {
    await writeFile(path.join(prepared, holder), '')
    const deadline = performance.now() + LONGEST_WAIT_MS
    while (!(await taken(prepared, lock))) {
      if (performance.now() > deadline) throw new Error(`another process holds ${lock}`)
      await removeDeadHolder(lock)
      await delay(10)
    }
  } finally {
    await rm(prepared, { recursive: true, force: true })
  }
  try {
    return await work()
  } finally {
    await rm(path.join(lock, holder), { force: true })
  }
}

async function taken(prepared: string, lock: string): Promise<boolean> {
  try {
    await rename(prepared, lock)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false
    throw error
  }
}

async function removeDeadHolder(lock: string): Promise<void> {
  for (const holder of await readdir(lock).catch(() => [])) {
    const file = path.join(lock, holder)
    const since = await stat(file).then(
      ({ mtimeMs }) => mtimeMs,
      () => undefined,
    )
    if (since === undefined) continue
    if (!isAlive(Number.parseInt(holder, 10)) || Date.now() - since > LONGEST_HOLD_MS) await rm(file, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
