import { lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'

/** Where a Debian machine with this service's test packages has files of many kinds; the packages of npm too. */
const ROOTS = [
  '/usr/share/icons',
  '/usr/share/pixmaps',
  '/usr/share/sounds',
  '/usr/share/fonts',
  '/usr/share/doc',
  '/usr/share',
  '/usr/lib',
  '/etc',
  path.resolve(import.meta.dirname, '../../../node_modules'),
]

/** Entries looked at below each root, so that a full machine takes no longer. */
const MAX_ENTRIES = 20_000

/**
 * Files that are installed on this machine: of each root up to so many of each extension, and of each folder and
 * extension two, in the order of their names.
 */
export function installed(perExtension: number): string[] {
  const files = new Set<string>()
  for (const root of ROOTS) for (const file of below(root, perExtension)) files.add(file)
  return [...files]
}

function below(root: string, perExtension: number): string[] {
  const taken = new Map<string, number>()
  const take = (key: string, most: number) => {
    const count = taken.get(key) ?? 0
    taken.set(key, count + 1)
    return count < most
  }
  const files: string[] = []
  const folders = [root]
  let entries = 0
  for (let folder = folders.shift(); folder !== undefined && entries < MAX_ENTRIES; folder = folders.shift()) {
    for (const name of namesIn(folder)) {
      entries++
      const file = path.join(folder, name)
      const stats = lstatSync(file, { throwIfNoEntry: false })
      if (stats?.isDirectory()) folders.push(file)
      if (!stats?.isFile() || file.includes('\n') || (stats.mode & 0o004) === 0) continue
      const extension = path.extname(name).toLowerCase()
      if (take(`${folder} ${extension}`, 2) && take(extension, perExtension)) files.push(file)
    }
  }
  return files
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort()
  } catch {
    return [] // not there, or not ours to read
  }
}
