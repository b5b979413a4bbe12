import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { errorCodes, retried } from '../../src/jobs/errors.ts'
import { statusFailure } from '../../src/processor/fetch/errors.ts'

describe('docs/errors.md', () => {
  const text = readFileSync('docs/errors.md', 'utf8')
  const rows = text.split('\n').filter((line) => line.startsWith('| `'))

  it('has every code once, and no other', () => {
    const documented = rows.map((row) => /^\| `([a-z0-9_.<>]+)` \|/.exec(row)?.[1])
    assert.deepEqual(documented.toSorted(), [...errorCodes, 'http.<status>'].toSorted())
  })

  it('says of each when it happens, what its callback reads, whether it is retried, and what to do', () => {
    const continued = text.split('\n').filter((line) => /^\| +\|/.test(line))
    for (const row of [...rows, ...continued]) {
      const [, , ...cells] = row.split('|').map((cell) => cell.trim())
      assert.equal(cells.pop(), '', row)
      assert.equal(cells.length, 4, row)
      const [when = '', error = '', retried = '', todo = ''] = cells
      assert.ok(when.length > 3 && error.length > 3 && retried.length > 1 && todo.length > 3, row)
    }
  })

  it('says of each whether it is retried, as the code does; of what depends, it says on what', () => {
    for (const [code, texts] of retriedByCode()) {
      if (code === 'http.<status>') continue
      const said = texts.length === 1 && (texts[0] === 'yes' || texts[0] === 'no') ? texts[0] : 'depends'
      assert.equal(said, retried[code as keyof typeof retried], code)
    }
  })

  it('names the statuses that are retried', () => {
    const [text = ''] = retriedByCode().get('http.<status>') ?? []
    const named = text.split(', ')
    for (let status = 400; status < 600; status++) {
      const { retriable } = statusFailure(status, '', undefined)
      assert.equal(
        named.includes(`${status}`) || named.includes(`${Math.floor(status / 100)}xx`),
        retriable,
        `${status}`,
      )
    }
  })

  /** What the rows of each code say; the second one of a code leaves its name out. */
  function retriedByCode(): Map<string, string[]> {
    const found = new Map<string, string[]>()
    let last = ''
    for (const line of text.split('\n')) {
      const [, name = '', , , said = ''] = line.split('|').map((cell) => cell.trim())
      if (/^`.*`$/.test(name)) last = name.slice(1, -1)
      else if (!/^\| +\|/.test(line)) continue
      found.set(last, [...(found.get(last) ?? []), said])
    }
    return found
  }
})
