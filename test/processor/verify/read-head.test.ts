import assert from 'node:assert/strict'
import fc from 'fast-check'
import { SNIFF_BYTES } from '../../../src/processor/verify/mime.ts'
import { mimeDetector } from '../../../src/processor/verify/mime-detector.ts'
import { readHead } from '../../../src/processor/verify/read-head.ts'
import { recordingLog } from '../../support/queue.ts'
import { noise } from './builders.ts'
import { generated } from './corpus.ts'

/** A body that comes in pieces, some of them empty. */
async function* inPieces(content: Buffer, cuts: number[]) {
  let start = 0
  for (const end of [...cuts.map((cut) => cut % (content.length + 1)).sort((a, b) => a - b), content.length]) {
    yield content.subarray(start, end)
    start = end
  }
}

async function* byteByByte(content: Buffer) {
  for (let at = 0; at < content.length; at++) yield content.subarray(at, at + 1)
}

describe('the head of a body', () => {
  const detector = mimeDetector(recordingLog().log)
  after(detector.close)

  const typeOf = async (body: AsyncIterator<Uint8Array>) => {
    const { head, complete } = await readHead(body)
    return detector.detect(head, complete)
  }

  it('tells the same type however the body is cut', async function () {
    this.timeout(30_000)
    const long = generated(1).map(({ content }) => Buffer.concat([content, noise(3, SNIFF_BYTES)]))
    const contents = [...generated(1).map(({ content }) => content), ...long]
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...contents), fc.array(fc.nat(), { maxLength: 12 }), async (content, cuts) => {
        assert.equal(await typeOf(inPieces(content, cuts)), await typeOf(inPieces(content, [])))
      }),
      { seed: 1, numRuns: 1500 },
    )
    for (const { name, content } of generated(1).slice(0, 150)) {
      assert.equal(await typeOf(byteByByte(content)), await typeOf(inPieces(content, [])), name)
    }
  })

  it('is not judged before a body that breaks off has shown enough', async () => {
    async function* broken() {
      yield Buffer.from('GIF89a')
      throw new Error('broken off')
    }
    await assert.rejects(readHead(broken()), /broken off/)
  })

  it('loses nothing of what follows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(3 * SNIFF_BYTES), fc.array(fc.nat(), { maxLength: 5 }), async (length, cuts) => {
        const content = noise(length, length)
        const rest = inPieces(content, cuts)
        const { head, complete } = await readHead(rest)
        const pieces: Uint8Array[] = [head]
        for (let next = await rest.next(); !next.done; next = await rest.next()) pieces.push(next.value)
        assert.ok(Buffer.concat(pieces).equals(content))
        assert.ok(complete ? head.length === length : head.length >= SNIFF_BYTES)
      }),
      { seed: 1, numRuns: 50 },
    )
  })
})
