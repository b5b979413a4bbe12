import assert from 'node:assert/strict'
import { deletionRetryDelayMs, deliveryRetryDelayMs, downloadRetryDelayMs } from '../../src/jobs/backoff.ts'

const lowest = () => 0
const middle = () => 0.5
const highest = () => 1 - Number.EPSILON
const DAY_MS = 86_400_000

describe('the delay before a retry', () => {
  it('of a download grows by the same amount each time', () => {
    assert.deepEqual(
      [1, 2, 3, 10].map((n) => downloadRetryDelayMs(n, 120_000, middle)),
      [120_000, 240_000, 360_000, 1_200_000],
    )
  })

  it('of a callback doubles each time', () => {
    assert.deepEqual(
      [1, 2, 3, 5].map((n) => deliveryRetryDelayMs(n, 10_000, middle)),
      [10_000, 20_000, 40_000, 160_000],
    )
  })

  it('of a deletion doubles from 10 s to an hour, however often it failed', () => {
    assert.deepEqual(
      [1, 2, 3].map((n) => deletionRetryDelayMs(n, middle)),
      [10_000, 20_000, 40_000],
    )
    for (const n of [10, 100, 100_000]) {
      for (const random of [lowest, middle, highest]) assert.equal(deletionRetryDelayMs(n, random), 3_600_000)
    }
  })

  it('varies by a tenth, so that what failed together does not return together', () => {
    for (const delay of [downloadRetryDelayMs, deliveryRetryDelayMs]) {
      assert.equal(delay(1, 10_000, lowest), 9000)
      assert.equal(delay(1, 10_000, highest), 11_000)
    }
    const some = new Set(Array.from({ length: 50 }, () => downloadRetryDelayMs(1, 120_000)))
    assert.ok(some.size > 10)
    for (const ms of some) assert.ok(ms >= 108_000 && ms <= 132_000)
  })

  it('is a whole number of ms and never more than a day', () => {
    for (const n of [1, 7, 31, 1000, 2 ** 31 - 1]) {
      for (const backoffMs of [0, 1, 333, 120_000, 2 ** 31 - 1]) {
        for (const ms of [downloadRetryDelayMs(n, backoffMs), deliveryRetryDelayMs(n, backoffMs)]) {
          assert.ok(Number.isInteger(ms) && ms >= 0 && ms <= DAY_MS, `${ms} for ${n} × ${backoffMs}`)
        }
      }
    }
  })
})
