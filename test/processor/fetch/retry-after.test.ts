import assert from 'node:assert/strict'
import { retryAfterMs } from '../../../src/processor/fetch/retry-after.ts'

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  for (const [value, ms] of [
    ['7', 7000],
    [' 7 ', 7000],
    ['0', undefined],
    ['3600', 3_600_000],
    ['3601', 3_600_000],
    ['99999999999999999999999999', 3_600_000],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30_000],
    ['Thursday, 01-Jan-26 00:00:30 GMT', 30_000],
    ['Thu Jan  1 00:00:30 2026 GMT', 30_000],
    ['Thu, 01 Jan 2026 02:00:00 GMT', 3_600_000],
    ['Wed, 31 Dec 2025 23:59:59 GMT', undefined],
    ['Thu, 99 Foo 2026 00:00:30 GMT', undefined],
    ['2026-01-01', undefined],
  ] as const) {
    it(`reads ${JSON.stringify(value) ?? 'nothing'} as ${ms ?? 'nothing'}`, () =>
      assert.equal(retryAfterMs(value, now), ms))
  }

  it('takes the first of several', () => assert.equal(retryAfterMs(['3', '9'], now), 3000))
})
