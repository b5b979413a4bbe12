import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { errorCodes } from '../../src/jobs/errors.ts'

describe('docs/errors.md', () => {
  const text = readFileSync('docs/errors.md', 'utf8')
  const rows = text.split('\n').filter((line) => line.startsWith('| `'))

  it('has every code once, and no other', () => {
    const documented = rows.map((row) => /^\| `([a-z0-9_.<>]+)` \|/.exec(row)?.[1])
    assert.deepEqual(documented.toSorted(), [...errorCodes, 'http.<status>'].toSorted())
  })

  it('says of each when it happens, and whether it is retried', () => {
    for (const row of rows) {
      const [, code, when = '', , retried = '', ...rest] = row.split(/\s*\|\s*/)
      assert.ok(when.length > 3 && retried.length > 1 && rest.length === 2, code)
    }
  })
})
