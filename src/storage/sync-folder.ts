import { open } from 'node:fs/promises'

/** What filesystems without folder syncs answer, CIFS and some of FUSE among them; a disk that fails says EIO. */
const UNKNOWN = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']

/** Makes the names in a folder durable, where the filesystem can. A folder that is gone has none. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error // emptied and removed by a deletion
  })
  try {
    await handle?.sync()
  } catch (error) {
    if (!UNKNOWN.includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  } finally {
    await handle?.close()
  }
}
