import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setImmediate as tick } from 'node:timers/promises'
import { exclusively } from '../src/exclusively.ts'

describe('exclusively', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'exclusively-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  it('lets one in at a time, also after one that failed, and leaves nothing but the empty lock', async () => {
    let inside = 0
    let most = 0
    const work = async () => {
      most = Math.max(most, ++inside)
      await tick()
      if (inside-- % 2) throw new Error('failed')
    }
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => exclusively(dir, 'lock', work)))
    assert.equal(most, 1)
    assert.ok(outcomes.every((outcome) => outcome.status === 'rejected' && outcome.reason.message === 'failed'))
    assert.deepEqual(await readdir(dir, { recursive: true }), ['lock'])
  })

  it('takes the lock from who has held it for too long: the process that has that number now is another', async () => {
    const left = path.join(dir, 'lock', `${process.pid}-00`)
    await mkdir(path.dirname(left))
    await writeFile(left, '')
    const longAgo = Date.now() / 1000 - 31
    await utimes(left, longAgo, longAgo)
    assert.equal(await exclusively(dir, 'lock', async () => 'done'), 'done')
  })
})
