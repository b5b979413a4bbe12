import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'

/**
 * What `file --mime-type` says of files, in their order. An empty file, which `file` does not show to the library, is
 * what the library says of an empty buffer.
 */
export function libmagicTypesOf(paths: string[]): string[] {
  const options = ['--mime-type', '--brief', '--files-from', '-']
  const env = { ...process.env, LC_ALL: 'C.UTF-8' }
  const output = execFileSync('file', options, { input: `${paths.join('\n')}\n`, encoding: 'utf8', env })
  const types = output.split('\n').slice(0, paths.length)
  return types.map((type) => (type === 'inode/x-empty' ? 'application/x-empty' : type))
}

/** What `file --mime-type` says of contents, in their order. */
export function libmagicTypes(contents: Buffer[]): string[] {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'libmagic-'))
  try {
    const paths = contents.map((content, i) => {
      const file = path.join(dir, String(i))
      writeFileSync(file, content)
      return file
    })
    return libmagicTypesOf(paths)
  } finally {
    rmSync(dir, { recursive: true })
  }
}
