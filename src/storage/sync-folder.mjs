import { closeSync, fsyncSync, openSync } from 'node:fs'

/** What filesystems without folder syncs answer, CIFS and some of FUSE among them; a disk that fails says EIO. */
const UNKNOWN = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP']

/**
 * Makes the names in a folder durable, where the filesystem can. A folder that is gone, emptied and removed by a deletion,
 * has none.
 *
 * @param {string} folder
 */
export function syncFolder(folder) {
  let fd
  try {
    fd = openSync(folder, 'r')
    fsyncSync(fd)
  } catch (error) {
    if (!['ENOENT', ...UNKNOWN].includes(error.code)) throw error
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
