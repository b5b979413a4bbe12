import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import zlib from 'node:zlib'
import { spoolOf } from '../../../src/processor/spool.ts'
import { tempFiles } from '../../../src/processor/temp-files.ts'
import { sha256 } from './harness.ts'

const id = 'AAAAAAAAAAAAAA'

describe('what is received', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'spool-'))
  })
  after(() => rm(dir, { recursive: true }))

  for (const [where, piece] of [
    ['in memory', Buffer.from('some bytes')],
    ['on disk', Buffer.alloc(200_000, 'some bytes')],
  ] as const) {
    it(`has the sums of its bytes, ${where}, also where a piece is empty`, async () => {
      const files = tempFiles({ dir, instance: 'test', minAgeMs: 0, alive: async () => new Set() })
      const spool = spoolOf({ files, jobId: id, path: files.pathOf(id), version: undefined, checksum: undefined })
      try {
        for (const chunk of [piece, Buffer.alloc(0), piece, Buffer.alloc(0)]) {
          if (spool.add(chunk)) await spool.spill()
        }
        const { file, sha256: digest } = await spool.finish()
        const whole = Buffer.concat([piece, piece])
        assert.deepEqual([file.size, file.crc32, digest], [whole.length, zlib.crc32(whole), sha256(whole)])
        assert.deepEqual(file.bytes ?? (await readFile(file.path)), whole)
      } finally {
        await spool.close()
      }
    })
  }
})
