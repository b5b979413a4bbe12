import assert from 'node:assert/strict'
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { SNIFF_BYTES } from '../../../src/processor/verify/mime.ts'
import { mimeDetector } from '../../../src/processor/verify/mime-detector.ts'
import { recordingLog } from '../../support/queue.ts'
import { generated } from './corpus.ts'
import { differences } from './differences.ts'
import { FAMILIES, type Family, familyOf } from './families.ts'
import { installed } from './installed.ts'
import { libmagicTypes, libmagicTypesOf } from './libmagic.ts'

interface Verdict {
  name: string
  ours: string
  theirs: string
  family: Family
}

/** libmagic tells many languages apart; to clients both are text. */
const bothSource = ({ family, ours }: Verdict) => family === 'source' && ours.startsWith('text/')
const agrees = (verdict: Verdict) => verdict.ours === verdict.theirs || bothSource(verdict)
const deliberate = ({ ours, theirs }: Verdict) =>
  differences.some((known) => known.ours === ours && known.theirs === theirs)
const unexplained = (verdict: Verdict) => !agrees(verdict) && !deliberate(verdict)
const line = ({ name, ours, theirs }: Verdict) => `${name}: ${ours}, libmagic says ${theirs}`

describe('Detection, compared with libmagic', function () {
  this.timeout(60_000)
  const { detect, close } = mimeDetector(recordingLog().log)
  const made: Verdict[] = []
  const found: Verdict[] = []

  before(async () => {
    const samples = generated()
    const theirs = libmagicTypes(samples.map(({ content }) => content))
    for (const [i, { name, content }] of samples.entries()) await judge(made, name, content, theirs[i] as string)

    const files = installed(40)
    const theirTypes = libmagicTypesOf(files)
    for (const [i, name] of files.entries()) await judge(found, name, beginningOf(name), theirTypes[i] as string)
    report(made, found)
  })
  after(close)

  async function judge(verdicts: Verdict[], name: string, content: Buffer, theirs: string) {
    const family = familyOf(theirs)
    if (family === undefined) return // nobody's business here
    const ours = await detect(content.subarray(0, SNIFF_BYTES), content.length <= SNIFF_BYTES)
    verdicts.push({ name, ours, theirs, family })
  }

  it('looks at a thousand files and more of every kind, whatever is installed', () => {
    assert.ok(made.length >= 1000, `${made.length} files`)
    for (const family of FAMILIES) {
      const { length } = made.filter((verdict) => verdict.family === family)
      assert.ok(length >= (family === 'empty' ? 1 : 30), `only ${length} of ${family}`)
    }
  })

  it('agrees on all that was generated', () => {
    assert.deepEqual(made.filter(unexplained).map(line), [])
  })

  for (const family of FAMILIES) {
    it(`agrees on 99 % and more of ${family}`, () => {
      const all = [...made, ...found].filter((verdict) => verdict.family === family)
      const wrong = all.filter(unexplained)
      // of fewer than a hundred files one may be an oddity of this machine; what is generated agrees wholly
      assert.ok(wrong.length <= Math.ceil(all.length * 0.01), `of ${all.length}:\n${wrong.map(line).join('\n')}`)
    })
  }

  it('differs deliberately in rare cases only', () => {
    const all = [...made, ...found]
    const different = all.filter((verdict) => !agrees(verdict))
    assert.ok(different.length <= all.length * 0.01, `of ${all.length}:\n${different.map(line).join('\n')}`)
  })

  it('differs where the list of differences says so, and says why', async () => {
    const theirs = libmagicTypes(differences.map(({ example }) => example))
    for (const [i, { example, ours, why, ...difference }] of differences.entries()) {
      assert.equal(await detect(example.subarray(0, SNIFF_BYTES), example.length <= SNIFF_BYTES), ours, why)
      assert.equal(theirs[i], difference.theirs, why)
    }
  })

  it('is documented with all its differences', () => {
    const documented = readFileSync('docs/verification.md', 'utf8')
      .split('\n')
      .filter((row) => row.startsWith('| `'))
    const rows = differences.map(({ ours, theirs, why }) => `| \`${ours}\` | \`${theirs}\` | ${why} |`)
    assert.deepEqual(
      documented.filter((row) => rows.includes(row)),
      rows,
    )
  })
})

/** The file as far as it matters, and a byte more where there is more. */
function beginningOf(file: string): Buffer {
  const start = Buffer.alloc(SNIFF_BYTES + 1)
  const fd = openSync(file, 'r')
  try {
    const length = readSync(fd, start)
    return start.subarray(0, Math.min(length, fstatSync(fd).size))
  } finally {
    closeSync(fd)
  }
}

/** The table of docs/verification.md, for this machine. */
function report(made: Verdict[], found: Verdict[]) {
  const row = (name: string, verdicts: Verdict[]) => {
    const count = (what: (verdict: Verdict) => boolean) => verdicts.filter(what).length
    const share = ((100 * count(agrees)) / Math.max(verdicts.length, 1)).toFixed(2)
    const listed = count((verdict) => !agrees(verdict) && deliberate(verdict))
    return `      | ${name} | ${verdicts.length} | ${share} % | ${listed} | ${count(unexplained)} |`
  }
  const all = [...made, ...found]
  const families = FAMILIES.map((family) =>
    row(
      family,
      all.filter((verdict) => verdict.family === family),
    ),
  )
  console.log(
    [
      `      ${made.length} generated files, ${found.length} installed ones`,
      '      | class | files | agree | differ deliberately | differ |',
      ...families,
      row('all', all),
    ].join('\n'),
  )
}
