import assert from 'node:assert/strict'
import { progress } from '../../src/cli/progress.ts'

const CLEAR = '\r\x1b[K'

describe('the progress bar', () => {
  function screen() {
    const written: string[] = []
    const write = (text: string | Uint8Array) => written.push(String(text)) > 0
    return { written, bar: progress({ write }) }
  }

  it('is as full as the work is done, and says how much failed and how fast it goes', () => {
    const { written, bar } = screen()
    bar.draw(0, 0, 0)
    bar.clear()
    bar.draw(10, 30, 2)
    bar.draw(30, 30, 2)
    const [empty, cleared, third, whole] = written
    assert.equal(empty, `${CLEAR}${'░'.repeat(30)} 0 of 0, 0 failed, 0.0/s`)
    assert.equal(cleared, CLEAR)
    assert.match(third ?? '', /K█{10}░{20} 10 of 30, 2 failed, \d+\.\d\/s$/)
    assert.match(whole ?? '', /K█{30} 30 of 30, 2 failed, \d+\.\d\/s$/)
    assert.equal(written.length, 4)
  })

  it('is not drawn for each of a thousand jobs, but always for the last one', () => {
    const { written, bar } = screen()
    const begunMs = performance.now()
    for (let done = 1; done <= 1000; done++) bar.draw(done, 1000, 0)
    const most = 2 + Math.floor((performance.now() - begunMs) / 100)
    assert.ok(written.length >= 2 && written.length <= most, `${written.length} times`)
    assert.match(written.at(-1) ?? '', /█{30} 1000 of 1000/)
  })

  it('comes back at once after a line that was printed in its place, and clears nothing that is not there', () => {
    const { written, bar } = screen()
    bar.clear()
    assert.deepEqual(written, [])
    bar.draw(1, 3, 0)
    bar.clear()
    bar.clear()
    bar.draw(2, 3, 1)
    assert.deepEqual(
      written.map((text) => /\d of \d/.exec(text)?.[0] ?? text),
      ['1 of 3', CLEAR, '2 of 3'],
    )
  })
})
