import { execFile } from 'node:child_process'
import { mkdir, open, rm } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { PROCESSORS } from '../settings.ts'
import { everyone, type Fault } from './fault.ts'

const run = promisify(execFile)
const SIZE = '192m'

/** A small disk of its own. */
export interface Disk extends AsyncDisposable {
  dir: string
  fill(): Promise<void>
  empty(): Promise<void>
}

/** @throws where this user may not mount */
export async function mountDisk(dir: string): Promise<Disk> {
  await mkdir(dir)
  await run('mount', ['-t', 'tmpfs', '-o', `size=${SIZE}`, 'tmpfs', dir])
  const filler = path.join(dir, 'filler')
  return {
    dir,
    async fill() {
      const handle = await open(filler, 'w')
      try {
        for (let bytes = Buffer.alloc(1 << 20); bytes.length > 0; ) {
          const left = await handle.write(bytes).catch((error: NodeJS.ErrnoException) => {
            if (error.code !== 'ENOSPC') throw error
          })
          if (!left) bytes = bytes.subarray(0, bytes.length >> 1) // to the last page
        }
      } finally {
        await handle.close()
      }
    },
    empty: () => rm(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      await run('umount', ['-l', dir])
    },
  }
}

export const fullDisk: Fault = {
  name: 'full-disk',
  about: 'the disk with the files and the temporary files is full to the last byte (ENOSPC)',
  targets: ['disk'],
  forMs: [1000, 4000],
  restMs: 3000,
  begin: async ({ disk }) => disk?.fill(),
  end: async ({ disk }) => disk?.empty(),
  stops: everyone(PROCESSORS),
  repeats: () => false,
}
