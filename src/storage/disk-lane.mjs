// What runs in a thread of `diskLanes`: batches of work on files, with the plain system calls.
//
// A message is { places, writes, removals }; the answer has for each of them, in this order, undefined or the error.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmdirSync, unlinkSync, writeSync } from 'node:fs'
import path from 'node:path'
import { parentPort } from 'node:worker_threads'

/** An empty folder may be removed by a deletion between its making and the rename into it. */
const TRIES = 5

parentPort?.on('message', ({ places, writes, removals }) => {
  const folders = new Set()
  // What was confirmed a moment ago is put in place before anything that takes long.
  const placed = places.map((item) => attempt(() => place(item, folders)))
  const written = writes.map((item) => attempt(() => write(item)))
  const removed = removals.map((item) => attempt(() => remove(item)))
  const unsynced = syncAll(folders)
  for (const [i, { to }] of places.entries()) placed[i] ??= unsynced.get(path.dirname(to))
  parentPort?.postMessage([...placed, ...written, ...removed])
})

function attempt(work) {
  try {
    work()
  } catch (error) {
    return plain(error)
  }
}

/** Errors lose their `code` on the way between threads. */
const plain = ({ code, message }) => ({ code, message })

function write({ file, bytes }) {
  const fd = create(file)
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Also its folder, should somebody have removed it. */
function create(file) {
  try {
    return openSync(file, 'wx')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    mkdirSync(path.dirname(file), { recursive: true })
    return openSync(file, 'wx')
  }
}

/** Adds the folders whose entries have changed: that of the file, and those of the folders that were made for it. */
function place({ from, to }, folders) {
  const folder = path.dirname(to)
  for (let tries = 1; ; tries++) {
    try {
      renameSync(from, to)
      break
    } catch (error) {
      if (error.code !== 'ENOENT' || tries === TRIES) throw error
      const made = mkdirSync(folder, { recursive: true })
      if (made === undefined) continue
      for (let at = folder; at !== made; at = path.dirname(at)) folders.add(path.dirname(at))
      folders.add(path.dirname(made))
    }
  }
  folders.add(folder)
}

/** @returns the error of each folder that could not be synced */
function syncAll(folders) {
  const failed = new Map()
  for (const folder of folders) {
    const error = attempt(() => syncFolder(folder))
    // emptied and removed by a deletion: nothing is left to promise
    if (error && error.code !== 'ENOENT') failed.set(folder, error)
  }
  return failed
}

function syncFolder(folder) {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Also the folder that it was in, when it was the last file there. */
function remove({ file, root }) {
  try {
    unlinkSync(file)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error
  }
  const folder = path.dirname(file)
  if (folder !== root) attempt(() => rmdirSync(folder))
}
