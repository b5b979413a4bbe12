import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { filesystemStorage } from '../../src/storage/filesystem.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { syncFolder } from '../../src/storage/sync-folder.mjs'
import { storageConformance, tempFile } from '../conformance/storage.ts'

const never = () => new AbortController().signal
const options = { mimeType: 'text/plain', confirm: () => {} }

async function filesUnder(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(root, path.join(parentPath, name)))
}

for (const [what, tempParent] of [
  ['on one filesystem', os.tmpdir()],
  ['across filesystems', '/dev/shm'],
] as const) {
  describe(`the filesystem storage, ${what}`, () => {
    let root: string
    let tempDir: string
    let storage: Storage

    before(async () => {
      root = await mkdtemp(path.join(os.tmpdir(), 'storage-root-'))
      tempDir = await mkdtemp(path.join(tempParent, 'storage-temp-'))
      assert.equal(statSync(root).dev === statSync(tempDir).dev, tempParent === os.tmpdir())
      storage = filesystemStorage({ rootdir: root })
    })
    after(async () => {
      await storage.close()
      await rm(root, { recursive: true })
      await rm(tempDir, { recursive: true })
    })

    storageConformance(() => ({
      storage,
      tempDir,
      read: (where) => readFile(path.join(root, where)).catch(() => undefined),
      list: () => filesUnder(root),
      largeBytes: 20 * 1024 * 1024 + 17,
    }))
  })
}

describe('the filesystem storage', () => {
  let root: string
  let storage: Storage
  beforeEach(async () => {
    root = await mkdtemp(path.join(os.tmpdir(), 'storage-'))
    storage = filesystemStorage({ rootdir: path.join(root, 'files') })
  })
  afterEach(async () => rm(root, { recursive: true }))

  it('removes the folder of the id when its last file is deleted, and no other', async () => {
    for (const where of ['sub/abc/abc1', 'sub/abc/abc2']) {
      await using file = await tempFile(root, Buffer.from('x'))
      await storage.put(file, where, options, never())
    }
    await storage.delete('sub/abc/abc1', never())
    assert.deepEqual(await readdir(path.join(root, 'files/sub/abc')), ['abc2'])
    await storage.delete('sub/abc/abc2', never())
    assert.deepEqual(await readdir(path.join(root, 'files/sub')), [])
  })

  it('stores while deletions remove the folder again and again', async () => {
    for (let i = 0; i < 30; i++) {
      await using file = await tempFile(root, Buffer.from('x'))
      const removing = Array.from({ length: 10 }, () => storage.delete('abc/none', never()))
      await storage.put(file, `abc/file${i}`, options, never())
      await Promise.all(removing)
      assert.equal(String(await readFile(path.join(root, `files/abc/file${i}`))), 'x')
      await storage.delete(`abc/file${i}`, never())
    }
  })

  it('names what the disk refuses, and lets it be tried again', async () => {
    await mkdir(path.join(root, 'files/abc/taken'), { recursive: true }) // a folder where the file should be
    await using file = await tempFile(root, Buffer.from('x'))
    await assert.rejects(storage.put(file, 'abc/taken', options, never()), {
      code: 'storage.failed',
      retriable: true,
      message: /the file could not be stored: E/,
    })
  })

  it('says that it was denied what it may not write, and lets it be tried again', async () => {
    const denied = filesystemStorage({ rootdir: '/sys/downloader' }) // where nobody may make a folder
    await using file = await tempFile(root, Buffer.from('x'))
    await assert.rejects(denied.put(file, 'abc/abc1', options, never()), { code: 'storage.denied', retriable: true })
  })

  it('asks whether the claim still holds right before the file shows', async () => {
    const target = path.join(root, 'files/abc/abc1')
    const shown: boolean[] = []
    await using file = await tempFile(root, Buffer.from('x'))
    await storage.put(file, 'abc/abc1', { ...options, confirm: () => shown.push(existsSync(target)) }, never())
    assert.ok(shown.length > 0 && !shown.includes(true))
    assert.ok(existsSync(target))
  })

  it('lets go of those who wait for the disk when they are told to stop', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const confirmed: number[] = []
    const puts = Array.from({ length: 20 }, async (_, i) => {
      await using file = await tempFile(root, Buffer.from('x'))
      const storing = storage.put(
        file,
        `abc/abc${i}`,
        { ...options, confirm: () => confirmed.push(i) },
        controller.signal,
      )
      controller.abort(reason)
      await storing
    })
    for (const end of await Promise.allSettled(puts)) assert.equal(end.status === 'rejected' && end.reason, reason)
    assert.deepEqual(confirmed, [])
  })

  it('says so where the root spans filesystems that the file cannot cross, and leaves nothing', async () => {
    const elsewhere = await mkdtemp('/dev/shm/storage-')
    try {
      assert.notEqual(statSync(elsewhere).dev, statSync(root).dev)
      await mkdir(path.join(root, 'files'))
      await symlink(elsewhere, path.join(root, 'files/abc'))
      await using file = await tempFile(root, Buffer.from('x'))
      await assert.rejects(storage.put(file, 'abc/abc1', options, never()), {
        code: 'storage.failed',
        message: /several filesystems/,
      })
      assert.deepEqual(await readdir(path.join(root, 'files/.tmp')), [])
      assert.deepEqual(await readdir(elsewhere), [])
    } finally {
      await rm(elsewhere, { recursive: true })
    }
  })

  it('stores where the filesystem cannot sync folders', () => {
    syncFolder('/proc') // which answers as CIFS does
    syncFolder(path.join(root, 'gone'))
    assert.throws(() => syncFolder('/dev/null/folder'), { code: 'ENOTDIR' })
  })

  it('takes a path that leaves the root for a bug', async () => {
    await using file = await tempFile(root, Buffer.from('x'))
    for (const where of ['../out', 'a/../b', '/etc/passwd', 'a//b', './a', 'a\0', 'a\\b', '']) {
      await assert.rejects(storage.put(file, where, options, never()), /not a path under the root/, where)
      await assert.rejects(storage.delete(where, never()), /not a path under the root/, where)
    }
  })

  it('sweeps copies that nobody writes any more, and leaves the young', async () => {
    const copies = path.join(root, 'files/.tmp')
    await mkdir(copies, { recursive: true })
    await writeFile(path.join(copies, 'old.tmp'), '')
    await writeFile(path.join(copies, 'young.tmp'), '')
    const yesterday = new Date(Date.now() - 86_400_000)
    await utimes(path.join(copies, 'old.tmp'), yesterday, yesterday)
    await storage.sweep?.()
    assert.deepEqual(await readdir(copies), ['young.tmp'])
  })
})
