import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import zlib from 'node:zlib'
import type { PutOptions, Storage, TempFile } from '../../src/storage/storage.ts'

export interface StorageHarness {
  storage: Storage
  /** Where temporary files are made. */
  tempDir: string
  /** What is stored at a path, or undefined. */
  read(path: string): Promise<Buffer | undefined>
  /** Size of what this storage is tried with as a large file, in bytes. */
  largeBytes: number
  /** Every path that has something. */
  list(): Promise<string[]>
}

/** A signal that does not abort; one for each call, as jobs have. */
const never = () => new AbortController().signal
const options: PutOptions = { mimeType: 'text/plain', confirm: () => {} }

export async function tempFile(dir: string, content: Buffer, where = 'on disk'): Promise<TempFile & AsyncDisposable> {
  const file = path.join(await mkdtemp(path.join(dir, 'put-')), 'file.tmp')
  const handle = where === 'on disk' ? await open(file, 'wx+') : undefined
  await handle?.writeFile(content)
  return {
    path: file,
    ...(handle ? { handle } : { bytes: content }),
    size: content.length,
    crc32: zlib.crc32(content),
    async [Symbol.asyncDispose]() {
      await handle?.close()
      await rm(path.dirname(file), { recursive: true, force: true })
    },
  }
}

/** What every storage does. */
export function storageConformance(harness: () => StorageHarness): void {
  for (const where of ['on disk', 'in memory']) describe(`of files ${where}`, () => conformance(harness, where))
}

function conformance(harness: () => StorageHarness, kind: string): void {
  async function put(content: Buffer, where: string, more: Partial<PutOptions> = {}, signal = never()) {
    await using file = await tempFile(harness().tempDir, content, kind)
    return await harness().storage.put(file, where, { ...options, ...more }, signal)
  }

  it('stores a file whole, under its path', async () => {
    const content = randomBytes(10_240)
    await put(content, 'abc/abcdefghijklmn')
    assert.deepEqual(await harness().read('abc/abcdefghijklmn'), content)
  })

  it('stores an empty file', async () => {
    await put(Buffer.alloc(0), 'emp/empty')
    assert.deepEqual(await harness().read('emp/empty'), Buffer.alloc(0))
  })

  it('stores a large file', async () => {
    const content = randomBytes(harness().largeBytes)
    await put(content, 'big/large')
    assert.ok((await harness().read('big/large'))?.equals(content))
  })

  it('replaces what is there', async () => {
    await put(Buffer.from('first'), 'rep/replaced')
    await put(Buffer.from('second'), 'rep/replaced')
    assert.equal(String(await harness().read('rep/replaced')), 'second')
  })

  it('takes folders and names of any kind', async () => {
    for (const where of ['some/folder/abc/abc1', 'with space/ü%20?#&+/xyz/xyz1']) {
      await put(Buffer.from(where), where)
      assert.equal(String(await harness().read(where)), where)
    }
  })

  it('stores many at once', async () => {
    const contents = Array.from({ length: 50 }, () => randomBytes(1000))
    await Promise.all(contents.map((content, i) => put(content, `m${i % 3}/many${i}`)))
    for (const [i, content] of contents.entries()) {
      assert.deepEqual(await harness().read(`m${i % 3}/many${i}`), content)
    }
  })

  it('leaves nothing when the claim turns out to be lost', async () => {
    const lost = new Error('lost')
    const confirm = () => {
      throw lost
    }
    await assert.rejects(put(Buffer.from('x'), 'los/lost', { confirm }), (error) => error === lost)
    assert.equal(await harness().read('los/lost'), undefined)
  })

  it('rejects with the reason of an abort, and leaves nothing', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    controller.abort(reason)
    await assert.rejects(put(Buffer.from('x'), 'abo/aborted', {}, controller.signal), (error) => error === reason)
    assert.equal(await harness().read('abo/aborted'), undefined)
  })

  it('rejects with the reason of an abort in the middle, unless it was done already', async () => {
    const content = randomBytes(300_000)
    const where = `mid/${randomBytes(4).toString('hex')}-` // others of these tests store in the same place
    const ends = await Promise.allSettled(
      Array.from({ length: 12 }, async (_, i) => {
        const controller = new AbortController()
        const storing = put(content, `${where}${i}`, {}, controller.signal)
        setTimeout(() => controller.abort(i), i * 2) // at as many moments, whatever happens then
        await storing
      }),
    )
    for (const [i, end] of ends.entries()) {
      if (end.status === 'rejected') assert.equal(end.reason, i)
      const stored = await harness().read(`${where}${i}`)
      if (end.status === 'fulfilled' || stored) assert.ok(stored?.equals(content), 'whole or not at all')
    }
  })

  it('deletes a file, and finds it fine when there is none', async () => {
    await put(Buffer.from('x'), 'del/deleted')
    await harness().storage.delete('del/deleted', never())
    assert.equal(await harness().read('del/deleted'), undefined)
    await harness().storage.delete('del/deleted', never())
    await harness().storage.delete('nev/never-was', never())
  })

  it('says what it moved, so that the rest is removed', async () => {
    await using file = await tempFile(harness().tempDir, Buffer.from('x'))
    const { moved } = await harness().storage.put(file, 'mov/moved', options, never())
    const left = await readFile(file.path).then(
      () => true,
      () => false,
    )
    assert.equal(left, !moved)
  })

  it('lists all that is stored, with size and time, page by page', async () => {
    const content = randomBytes(123)
    const before = Date.now()
    await put(content, 'with space/ü%20?#&+/lis/listed')
    const listed = new Map<string, { size: number; modifiedMs: number }>()
    for await (const { path, ...rest } of harness().storage.list(never())) listed.set(path, rest)
    assert.deepEqual([...listed.keys()].sort(), (await harness().list()).sort())
    const { size, modifiedMs = 0 } = listed.get('with space/ü%20?#&+/lis/listed') ?? {}
    assert.equal(size, 123)
    assert.ok(Math.abs(modifiedMs - before) < 60_000)
  })

  it('stops listing when it is told to', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const listing = async () => {
      for await (const _ of harness().storage.list(controller.signal)) controller.abort(reason)
    }
    await assert.rejects(listing(), (error) => error === reason)
  })

  it('keeps nothing but what was stored', async () => {
    const paths = await harness().list()
    assert.ok(paths.length > 50)
    assert.deepEqual(
      paths.filter((where) => /tmp|lost|aborted|deleted/.test(where)),
      [],
    )
  })
}
