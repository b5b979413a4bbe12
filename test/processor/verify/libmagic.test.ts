import assert from 'node:assert/strict'
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { detectMime, SNIFF_BYTES } from '../../../src/processor/verify/mime.ts'
import { type Family, familyOf, generated, onThisMachine } from './corpus.ts'
import { differences } from './differences.ts'
import { libmagicTypes, libmagicTypesOf } from './libmagic.ts'

const detect = (content: Buffer) => detectMime(content.subarray(0, SNIFF_BYTES), content.length <= SNIFF_BYTES)

interface Verdict {
  name: string
  ours: string
  theirs: string
  family: Family
}

/** libmagic tells many languages apart; to clients both are text. */
const bothSource = ({ family, ours }: Verdict) => family === 'source' && ours.startsWith('text/')
const deliberate = ({ ours, theirs }: Verdict) =>
  differences.some((known) => known.ours === ours && known.theirs === theirs)
const agrees = (verdict: Verdict) => verdict.ours === verdict.theirs || bothSource(verdict)
const line = ({ name, ours, theirs }: Verdict) => `${name}: ${ours}, libmagic says ${theirs}`

function byFamily(verdicts: Verdict[]): Map<Family, Verdict[]> {
  const families = new Map<Family, Verdict[]>()
  for (const verdict of verdicts) families.set(verdict.family, [...(families.get(verdict.family) ?? []), verdict])
  return families
}

describe('Detection, compared with libmagic', function () {
  this.timeout(60_000)

  it('agrees on generated files of every family', async () => {
    const samples = generated()
    const theirs = libmagicTypes(samples.map(({ content }) => content))
    const verdicts: Verdict[] = []
    for (const [i, { name, content }] of samples.entries()) {
      const family = familyOf(theirs[i] as string)
      if (family) verdicts.push({ name, ours: await detect(content), theirs: theirs[i] as string, family })
    }
    const wrong = verdicts.filter((verdict) => !agrees(verdict) && !deliberate(verdict))
    assert.deepEqual(wrong.map(line), [])
    assert.ok(verdicts.length >= 250, `${verdicts.length} files`)
    for (const [family, { length }] of byFamily(verdicts)) {
      assert.ok(length >= (family === 'empty' ? 1 : 5), `only ${length} of ${family}`)
    }
    assert.equal(byFamily(verdicts).size, 15)
  })

  it('agrees on at least 99 % of the files on this machine', async () => {
    const files = onThisMachine(25)
    const theirs = libmagicTypesOf(files)
    const verdicts: Verdict[] = []
    for (const [i, name] of files.entries()) {
      const family = familyOf(theirs[i] as string)
      if (family) verdicts.push({ name, ours: await detectFile(name), theirs: theirs[i] as string, family })
    }
    assert.ok(verdicts.length >= 300, `${verdicts.length} files`)
    const different = verdicts.filter((verdict) => !agrees(verdict))
    const wrong = different.filter((verdict) => !deliberate(verdict))
    const report = different.map(line).join('\n')
    assert.ok(wrong.length <= verdicts.length * 0.01, `${wrong.length} of ${verdicts.length} differ:\n${report}`)
    assert.ok(different.length - wrong.length <= verdicts.length * 0.02, `too many deliberate differences:\n${report}`)
  })

  it('differs where the list of differences says so, and says why', async () => {
    const theirs = libmagicTypes(differences.map(({ example }) => example))
    for (const [i, difference] of differences.entries()) {
      assert.equal(await detect(difference.example), difference.ours, difference.why)
      assert.equal(theirs[i], difference.theirs, difference.why)
    }
  })
})

async function detectFile(file: string): Promise<string> {
  const head = Buffer.alloc(SNIFF_BYTES)
  const fd = openSync(file, 'r')
  try {
    const length = readSync(fd, head)
    return await detectMime(head.subarray(0, length), fstatSync(fd).size <= SNIFF_BYTES)
  } finally {
    closeSync(fd)
  }
}
