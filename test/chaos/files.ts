import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { contentOf, planOf, sha256Of } from './plan.ts'

export interface Files {
  /** Ids of jobs with a file, whole or not. */
  ids: Set<string>
  /** Paths of files that are not what they should be. */
  partial: string[]
  /** Paths of files that belong to no job that is known. */
  strays: string[]
}

/**
 * Reads every file under the root.
 *
 * @param numberOf number of the job with this id
 */
export async function filesUnder(
  root: string,
  seed: string,
  numberOf: (id: string) => number | undefined,
): Promise<Files> {
  const files: Files = { ids: new Set(), partial: [], strays: [] }
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = path.join(entry.parentPath, entry.name)
    const n = numberOf(entry.name)
    if (n === undefined) {
      files.strays.push(file)
      continue
    }
    files.ids.add(entry.name)
    if (sha256Of(await readFile(file)) !== sha256Of(contentOf(planOf(seed, n)))) files.partial.push(file)
  }
  return files
}

const LOOK_MS = 100

/** What is left in the folder after `withinMs`, or none as soon as it is empty. */
export async function leftIn(dir: string, withinMs: number): Promise<string[]> {
  for (const deadline = performance.now() + withinMs; ; ) {
    const names = await readdir(dir)
    if (names.length === 0 || performance.now() > deadline) return names
    await delay(LOOK_MS)
  }
}
