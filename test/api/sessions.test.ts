import assert from 'node:assert/strict'
import { SESSION_S, sessionsOf } from '../../src/api/sessions.ts'

describe('a session', () => {
  const nowMs = 1_800_000_000_000
  const at = (ms: number, tokens = ['first', 'second']) => sessionsOf(tokens, () => ms)

  it('stands until its end, for every process with that token', () => {
    const session = at(nowMs).begin('second')
    assert.ok(!session.includes('second'))
    assert.ok(at(nowMs).stands(session))
    assert.ok(at(nowMs + SESSION_S * 1000 - 1, ['second', 'third']).stands(session))
    assert.ok(!at(nowMs + SESSION_S * 1000).stands(session), 'it is over')
    assert.ok(!at(nowMs, ['first']).stands(session), 'its token was taken away')
  })

  it('cannot be made, or made to stand longer, without the token', () => {
    const [end = '', seal = ''] = at(nowMs).begin('first').split('.')
    const forged = [
      '',
      '.',
      end,
      `${end}.`,
      `.${seal}`,
      `${Number(end) + 1}.${seal}`,
      `${end}.${seal.slice(0, -2)}`,
      `${end}.${seal}A`,
    ]
    for (const session of forged) assert.ok(!at(nowMs).stands(session), session)
    assert.ok(!at(nowMs).stands(at(nowMs).begin('unknown')))
  })
})
