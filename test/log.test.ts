import assert from 'node:assert/strict'
import { loggedError } from '../src/log.ts'

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
