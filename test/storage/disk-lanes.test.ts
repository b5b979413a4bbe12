import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { type DiskLanes, diskLanes } from '../../src/storage/disk-lanes.ts'

describe('the disk lanes', () => {
  let dir: string
  let lanes: DiskLanes
  before(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'lanes-'))
    lanes = diskLanes()
  })
  after(async () => {
    await lanes.close()
    await rm(dir, { recursive: true })
  })
  const at = (...names: string[]) => path.join(dir, ...names)
  const fine = () => {}

  it('write and place hundreds of files at once, with the folders that they need', async () => {
    const numbers = Array.from({ length: 300 }, (_, i) => i)
    await Promise.all(
      numbers.map(async (i) => {
        await lanes.write(at(`many${i}`), Buffer.from(`content ${i}`))
        await lanes.place(at(`many${i}`), at('many', `${i % 7}`, `${i}`), fine)
      }),
    )
    for (const i of numbers) assert.equal(String(await readFile(at('many', `${i % 7}`, `${i}`))), `content ${i}`)
  })

  it('write an empty file, and one of some megabytes', async () => {
    for (const [name, bytes] of Object.entries({ empty: Buffer.alloc(0), large: Buffer.alloc(5_000_000, 'x') })) {
      await lanes.write(at(name), bytes)
      assert.ok((await readFile(at(name))).equals(bytes))
    }
  })

  it('write over nothing', async () => {
    await writeFile(at('taken'), 'old')
    await assert.rejects(lanes.write(at('taken'), Buffer.from('new')), { code: 'EEXIST' })
    assert.equal(String(await readFile(at('taken'))), 'old')
  })

  it('place a file over another', async () => {
    await mkdir(at('over'))
    await writeFile(at('over', 'target'), 'old')
    await lanes.write(at('newer'), Buffer.from('new'))
    await lanes.place(at('newer'), at('over', 'target'), fine)
    assert.equal(String(await readFile(at('over', 'target'))), 'new')
  })

  it('do not place what is not confirmed, and do all the rest', async () => {
    const lost = new Error('lost')
    const ends = await Promise.allSettled(
      Array.from({ length: 20 }, async (_, i) => {
        await lanes.write(at(`maybe${i}`), Buffer.from('x'))
        await lanes.place(at(`maybe${i}`), at('maybe', `${i}`), () => {
          if (i % 2) throw lost
        })
      }),
    )
    for (const [i, end] of ends.entries()) {
      assert.equal(end.status === 'rejected' ? end.reason : undefined, i % 2 ? lost : undefined)
      assert.equal(existsSync(at('maybe', `${i}`)), i % 2 === 0)
    }
  })

  it('make the folder of a new file, should it be gone', async () => {
    await lanes.write(at('removed', 'folder', 'file'), Buffer.from('x'))
    assert.equal(await readFile(at('removed', 'folder', 'file'), 'utf8'), 'x')
  })

  it('tell each its own error', async () => {
    const ends = await Promise.allSettled([
      lanes.write(at('taken', 'no folder'), Buffer.from('x')),
      lanes.write(at('good'), Buffer.from('x')),
      lanes.place(at('nowhere'), at('somewhere', 'else'), fine),
      lanes.remove(at('taken', 'is', 'no', 'folder'), dir),
    ])
    const codes = ends.map((end) => (end.status === 'rejected' ? end.reason.code : 'fine'))
    assert.deepEqual(codes, ['ENOTDIR', 'fine', 'ENOENT', 'fine'])
  })

  it('remove a file, and its folder with the last one', async () => {
    await mkdir(at('gone'))
    for (const name of ['a', 'b']) await writeFile(at('gone', name), 'x')
    await lanes.remove(at('gone', 'a'), dir)
    assert.deepEqual(await readdir(at('gone')), ['b'])
    await lanes.remove(at('gone', 'b'), dir)
    assert.ok(!existsSync(at('gone')))
    await lanes.remove(at('gone', 'b'), dir)
  })

  it('go on when a thread breaks: its work fails, and another thread takes its place', async () => {
    const broken = Array.from({ length: 3 }, () => lanes.place(at('large'), undefined as unknown as string, fine))
    for (const end of await Promise.allSettled(broken)) assert.equal(end.status, 'rejected')
    await lanes.write(at('after'), Buffer.from('x'))
    assert.ok(existsSync(at('after')))
  })

  it('fail what is left when they are closed, and take no more', async () => {
    const others = diskLanes()
    const left = Array.from({ length: 100 }, (_, i) => others.write(at(`left${i}`), Buffer.from('x')))
    const ends = Promise.allSettled(left)
    await others.close()
    assert.ok((await ends).some(({ status }) => status === 'rejected'))
    await assert.rejects(others.write(at('late'), Buffer.from('x')), /closed/)
  })
})
