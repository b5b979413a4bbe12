import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { loggedError } from '../src/log.ts'
import { printable } from '../src/printable.ts'

function thrown(by: () => unknown): unknown {
  try {
    by()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('an error in the log', () => {
  it('has its type, message, stack and code, and those of its causes', () => {
    const cause = Object.assign(new RangeError('inner'), { code: 'E_INNER' })
    const error = new TypeError('outer', { cause })
    assert.deepEqual(loggedError(error), {
      type: 'TypeError',
      message: 'outer',
      stack: error.stack,
      cause: { type: 'RangeError', message: 'inner', stack: cause.stack, code: 'E_INNER' },
    })
  })

  it('has nothing else that hangs on it: the command that Redis refused, the text that is no URL', () => {
    const refused = Object.assign(new Error('ERR no'), { command: { name: 'set', args: ['secret'] } })
    const invalid = thrown(() => new URL('secret'))
    const both = new AggregateError([refused, invalid], 'both', { cause: new Error('one', { cause: invalid }) })
    for (const error of [refused, invalid, both]) {
      assert.doesNotMatch(JSON.stringify(loggedError(error)), /secret/)
    }
    assert.match(JSON.stringify(loggedError(invalid)), /ERR_INVALID_URL/)
  })

  it('ends, also when it is its own cause', () => {
    const error = new Error('round')
    error.cause = error
    const text = JSON.stringify(loggedError(error))
    assert.ok(text.split('round').length < 20, text)
  })

  it('may be anything that was thrown', () => {
    assert.equal(loggedError('a text'), 'a text')
    assert.equal(loggedError(undefined), 'undefined')
    assert.equal(loggedError({ password: 'secret' }), '[object Object]')
  })
})

describe('a log line', () => {
  it('is one line of printable JSON, whatever a job put into it', async () => {
    const aggr_id = 'a\n{"level":"fatal"}\r\u001b[31m\u009b2J\u007f\u0085\u2028\u202e\u2066\0 ü 😀'
    const script = `import { newLog } from './src/log.ts'; newLog('test').info(${JSON.stringify({ aggr_id })}, 'said')`
    const args = ['--import', 'tsx', '--input-type=module', '-e', script]
    const { stderr } = await promisify(execFile)(process.execPath, args)
    const lines = stderr.trimEnd().split('\n')
    assert.equal(lines.length, 1)
    assert.equal(JSON.parse(lines[0] ?? '').aggr_id, aggr_id)
    assert.doesNotMatch(lines[0] ?? '', /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u)
  })
})

describe('a printable text', () => {
  it('shows what terminals would obey', () => {
    assert.equal(printable('a\nb\u001b[1m\u009b\u202ec'), 'a\\u000ab\\u001b[1m\\u009b\\u202ec')
  })

  it('keeps letters of all scripts', () => assert.equal(printable('jobs:Füße 猫 😀'), 'jobs:Füße 猫 😀'))
})
