import assert from 'node:assert/strict'
import { filePath, isJobId, newJobId } from '../../src/jobs/job.ts'

describe('the id of a job', () => {
  it('is 14 characters that fit into a URL and a file name', () => {
    for (let i = 0; i < 1000; i++) assert.match(newJobId(), /^[A-Za-z0-9_-]{14}$/)
  })

  it('is never the same twice', () => {
    assert.equal(new Set(Array.from({ length: 10_000 }, newJobId)).size, 10_000)
  })

  it('is told from other strings', () => {
    assert.ok(isJobId('NSb4FOAs9fVaQw'))
    assert.ok(isJobId(newJobId()))
    for (const text of [
      '',
      'NSb4FOAs9fVaQ',
      'NSb4FOAs9fVaQw=',
      'NSb4FOAs9fVa w',
      '../../etc/pass',
      'NSb4FOAs9fVaQw\n',
    ]) {
      assert.ok(!isJobId(text), JSON.stringify(text))
    }
  })
})

describe('the path of a file', () => {
  it('has a folder of the first three characters of the id', () => {
    assert.equal(filePath('NSb4FOAs9fVaQw'), 'NSb/NSb4FOAs9fVaQw')
  })

  it("has the job's own folder in front", () => {
    assert.equal(filePath('NSb4FOAs9fVaQw', 'shop/images'), 'shop/images/NSb/NSb4FOAs9fVaQw')
    assert.equal(filePath('NSb4FOAs9fVaQw', ''), 'NSb/NSb4FOAs9fVaQw')
  })
})
