import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { copyFile, open, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import path from 'node:path'
import { newJobId } from '../../../src/jobs/job.ts'
import { HandBack, LeaseLost } from '../../../src/leases.ts'
import { eventually } from '../../support/eventually.ts'
import { serve } from '../../support/versions.ts'
import { failure } from '../fetch/harness.ts'
import { fileOf, MiB, type Path, rangesOf, serving, sha256, startWorkshop, type Workshop } from './harness.ts'

const SIZE = 6 * MiB
const CUT = 4 * MiB + 77

describe('what an attempt leaves to the next', () => {
  let shop: Workshop
  before(async () => {
    shop = await startWorkshop()
  })
  after(() => shop[Symbol.asyncDispose]())
  afterEach(async () => {
    await shop.processor({ isWanted: async () => false }).partials.sweep()
    assert.deepEqual(await shop.left(), [])
  })

  const unavailable = (_request: unknown, response: ServerResponse) => void response.writeHead(503).end()
  const here = (name: string) => path.join(shop.dir, name)

  /** A job whose first attempt got `CUT` bytes. */
  async function begun(options: { file?: ReturnType<typeof fileOf>; process?: 'ended' | 'living' } = {}) {
    const { file = fileOf(SIZE), process = 'ended' } = options
    const id = newJobId()
    const served = serving(shop.origin, file, { cutAfter: CUT }, unavailable, {})
    await assert.rejects(shop.processor({ process }).attempt(served.url, { id }), { code: 'http.503' })
    const names = (await shop.left()).filter((name) => name.startsWith(id))
    const note = `${id}.resume.tmp`
    const data = names.find((name) => name !== note) ?? ''
    assert.deepEqual(names, [data, note].sort())
    return { id, file, served, data, note }
  }

  const lastRange = (served: Path) => rangesOf(served).at(-1)

  it('is what came, also to another process: only the rest is fetched', async () => {
    const { id, file, served } = await begun()
    const { sha256: digest, size, responseCode } = await shop.processor().attempt(served.url, { id })
    assert.deepEqual([digest, size, responseCode], [sha256(file.body), SIZE, 200])
    assert.equal(sha256(await shop.stored(id)), digest)
    assert.equal(lastRange(served), `bytes=${CUT}-`)
    assert.deepEqual(await shop.left(), [])
  })

  it('grows from attempt to attempt', async () => {
    const id = newJobId()
    const file = fileOf(SIZE)
    const piece = { cutAfter: 1.3 * MiB }
    const served = serving(shop.origin, file, piece, unavailable, piece, unavailable, piece, unavailable, {})
    for (let i = 0; i < 3; i++) await assert.rejects(shop.processor().attempt(served.url, { id }), { code: 'http.503' })
    assert.equal((await shop.processor().attempt(served.url, { id })).sha256, sha256(file.body))
    assert.ok(served.sent <= 1.01 * SIZE, `${served.sent}`)
  })

  it('is left also when the process stops, or loses its lease, and when the time is up', async () => {
    for (const reason of [new HandBack('stop'), new LeaseLost('lost')]) {
      const id = newJobId()
      const file = fileOf(SIZE)
      const stop = new AbortController()
      const served = serving(shop.origin, file, { stallAfter: CUT }, {})
      const attempt = shop.processor().attempt(served.url, { id, signal: stop.signal })
      await eventually(async () => assert.equal((await shop.left()).length, 2))
      stop.abort(reason)
      await assert.rejects(attempt, reason)
      assert.equal((await shop.processor().attempt(served.url, { id })).sha256, sha256(file.body))
      assert.notEqual(lastRange(served), undefined)
    }
    const id = newJobId()
    const served = serving(shop.origin, fileOf(SIZE), { stallAfter: CUT }, {})
    const attempt = shop.processor().attempt(served.url, { id, request: { downloadTimeoutS: 1 } })
    await assert.rejects(attempt, { code: 'timeout.total' })
    await shop.processor().attempt(served.url, { id })
    assert.notEqual(lastRange(served), undefined)
  })

  it('is nearly all when only storing failed; the origin is asked all the same', async () => {
    const id = newJobId()
    const file = fileOf(SIZE)
    const served = serving(shop.origin, file, {})
    const confirm = () => {
      throw new LeaseLost('lost')
    }
    await assert.rejects(shop.processor().attempt(served.url, { id, confirm }), LeaseLost)
    assert.equal((await shop.processor().attempt(served.url, { id })).sha256, sha256(file.body))
    assert.ok(served.sent < 1.4 * SIZE, `${served.sent}`)
    assert.equal(served.requests.length, 2)
  })

  it('is of no use when the file has changed: the digest is of the new one', async () => {
    const { id, served } = await begun()
    const changed = fileOf(SIZE)
    served.url = shop.origin.on('/changed', (request, response) => serve(request, response, changed))
    const moved = serving(shop.origin, changed, {})
    assert.equal((await shop.processor().attempt(moved.url, { id })).sha256, sha256(changed.body))
    assert.equal(moved.sent, SIZE)
    assert.deepEqual(await shop.left(), [])
  })

  it('is none below a MiB, none when what came cannot be trusted, and none when the failure is final', async () => {
    const file = fileOf(SIZE)
    const early = serving(shop.origin, file, { cutAfter: 0.9 * MiB }, unavailable)
    await assert.rejects(shop.processor().attempt(early.url), { code: 'http.503' })
    const gone = serving(
      shop.origin,
      file,
      { cutAfter: CUT },
      (_request, response) => void response.writeHead(404).end(),
    )
    await assert.rejects(shop.processor().attempt(gone.url), { code: 'http.404' })
    assert.equal(gone.requests.length, 3)
    const typed = serving(shop.origin, file, {})
    await assert.rejects(shop.processor().attempt(typed.url, { request: { mimeType: 'image/*' } }), {
      code: 'mime.mismatch',
    })
    assert.deepEqual(await shop.left(), [])
  })

  it('goes when the job is given up', async () => {
    const { id } = await begun()
    await shop.processor().partials.drop(id)
    assert.deepEqual(await shop.left(), [])
    await shop.processor().partials.drop(id) // or was never there
  })

  it('is not taken by a processor that takes no files of that size', async () => {
    const { id, served } = await begun()
    const tooLarge = failure({ code: 'limit.bytes', text: `${SIZE} bytes`, retriable: false, responseCode: 200 })
    await assert.rejects(shop.processor({ maxBytes: SIZE - 1 }).attempt(served.url, { id }), tooLarge)
    assert.deepEqual(await shop.left(), [])
  })

  describe('is used as far as its checksums go', () => {
    /** From where the next attempt asks, after `harm` was done to what the first one left. */
    async function askedAfter(harm: (data: string, note: string, checkpoints: number[]) => unknown) {
      const { id, file, served, data, note } = await begun()
      const lines = readFileSync(here(note), 'utf8').split('\n')
      const checkpoints = lines.slice(1, -2).map((line) => Number.parseInt(line, 10))
      assert.equal(checkpoints.at(-1), CUT)
      assert.ok(checkpoints.length > 3)
      await harm(here(data), here(note), checkpoints)
      assert.equal((await shop.processor().attempt(served.url, { id })).sha256, sha256(file.body))
      assert.equal(sha256(await shop.stored(id)), sha256(file.body))
      const asked = /^bytes=(\d+)-$/.exec(lastRange(served) ?? '')?.[1]
      return { asked: asked === undefined ? undefined : checkpoints.indexOf(Number(asked)), checkpoints }
    }

    /** A note and its lines: the head, the checkpoints, the end. */
    const rewrite = (note: string, change: (lines: string[]) => string[]) =>
      writeFileSync(note, change(readFileSync(note, 'utf8').split('\n')).join('\n'))

    async function zeros(data: string, at: number) {
      const handle = await open(data, 'r+')
      await handle.write(Buffer.alloc(4096), 0, 4096, at)
      await handle.close()
    }

    it('where the disk has lost some of it', async () => {
      const lost = (from: (...checkpoints: number[]) => number) =>
        askedAfter((data, _note, checkpoints) => zeros(data, from(...checkpoints)))
      assert.equal((await lost((_, second = 0) => second + 1)).asked, 1)
      assert.equal((await lost((_, second = 0) => second - 1)).asked, 0)
      const short = await askedAfter((data, _note, [, , third = 0]) => truncate(data, third + 1))
      assert.equal(short.asked, 2)
    })

    it('where the end of its note is missing, or makes no sense', async () => {
      const without = async (change: (lines: string[]) => string[]) => askedAfter((_, note) => rewrite(note, change))
      assert.equal((await without((lines) => [...lines.slice(0, 3), lines[3]?.slice(0, 5) ?? ''])).asked, 1)
      assert.equal((await without((lines) => [...lines.slice(0, 3), 'nonsense', ...lines.slice(3)])).asked, 1)
      assert.equal((await without((lines) => [...lines.slice(0, 3), '1 1', ...lines.slice(3)])).asked, 1)
    })

    it('which may be nowhere', async () => {
      const nowhere: Record<string, (data: string, note: string) => unknown> = {
        'its beginning was lost': (data) => zeros(data, 0),
        'it is gone': (data) => rm(data),
        'its note is gone': (_, note) => rm(note),
        'its note is empty': (_, note) => writeFile(note, ''),
        'its note is no note': (_, note) => writeFile(note, '{"data":1}\n'),
        'its note is endless': (_, note) => writeFile(note, Buffer.alloc(10 * MiB, '1')),
        'its note is a folder': async (_, note) => {
          await rm(note)
          await symlink(shop.dir, note)
        },
        'it is a link': async (data) => {
          await rename(data, `${data}.elsewhere`)
          await symlink(`${data}.elsewhere`, data)
        },
      }
      for (const [what, harm] of Object.entries(nowhere)) assert.equal((await askedAfter(harm)).asked, undefined, what)
      for (const name of await shop.left()) await rm(here(name))
    })

    it('and no other file is ever taken, whatever a note says', async () => {
      for (const name of ['foreign.txt', '../tmp/foreign.txt', 'AAAAAAAAAAAAAA.00000000-1-00000000-1.tmp']) {
        const other = here(path.basename(name))
        const { asked } = await askedAfter(async (data, note) => {
          await copyFile(data, other)
          rewrite(note, ([head = '', ...lines]) => [head.replace(path.basename(data), name), ...lines])
        })
        assert.equal(asked, undefined)
        assert.equal(readFileSync(other).length, CUT)
        await rm(other)
      }
    })
  })

  it('is copied while its writer may only be frozen, who does no harm when it wakes up', async () => {
    const id = newJobId()
    const file = fileOf(SIZE)
    const lost = () => {
      throw new LeaseLost('lost')
    }
    let wake = () => {}
    let ended: Promise<void> | undefined
    const served = serving(
      shop.origin,
      file,
      (_request, response) => {
        response.writeHead(200, { ...file.headers, 'content-length': SIZE }).write(file.body.subarray(0, CUT))
        wake = () => response.end(Buffer.alloc(SIZE - CUT, 'x')) // this origin lies to it
      },
      { cutAfter: MiB },
      async (request, response) => {
        wake() // in the middle of the second attempt
        await ended
        await serve(request, response, file)
      },
    )
    const frozen = shop.processor({ process: 'living' })
    ended = assert.rejects(frozen.attempt(served.url, { id, confirm: lost }), LeaseLost)
    await eventually(() => assert.match(readFileSync(here(`${id}.resume.tmp`), 'utf8'), /\n3\d{6} /))

    assert.equal((await shop.processor().attempt(served.url, { id })).sha256, sha256(file.body))
    assert.match(rangesOf(served)[1] ?? '', /^bytes=[34]\d+-$/)
    await ended
    assert.equal(sha256(await shop.stored(id)), sha256(file.body))
    await frozen.partials.sweep()
    assert.deepEqual(await shop.left(), [])
  })

  describe('is swept', () => {
    it('when no job wants it any more, or the disk is full, and not before', async () => {
      for (const process of ['ended', 'living'] as const) {
        const { data, note } = await begun({ process })
        const sweeper = shop.processor()
        await sweeper.partials.sweep()
        assert.deepEqual(await shop.left(), [data, note].sort())
        await sweeper.partials.sweep(true)
        await shop.processor().partials.sweep()
        assert.deepEqual(await shop.left(), [])
      }
    })

    it('never under the hands of an attempt', async () => {
      const file = fileOf(SIZE)
      let response: ServerResponse | undefined
      const url = shop.origin.on('/slow', (_request, answer) => {
        answer.writeHead(200, { ...file.headers, 'content-length': SIZE }).write(file.body.subarray(0, CUT))
        response = answer
      })
      const processor = shop.processor({ isWanted: async () => false })
      const id = newJobId()
      const attempt = processor.attempt(url, { id })
      await eventually(async () => assert.equal((await shop.left()).length, 2))
      await processor.partials.sweep(true)
      response?.end(file.body.subarray(CUT))
      assert.equal((await attempt).sha256, sha256(file.body))
      assert.equal(sha256(await shop.stored(id)), sha256(file.body))
    })
  })
})
