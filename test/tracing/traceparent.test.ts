import assert from 'node:assert/strict'
import { formatTraceparent, parseTraceparent } from '../../src/tracing/traceparent.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

describe('a traceparent', () => {
  it('says trace, span, and whether it is recorded', () => {
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true })
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-02`), { traceId, spanId, sampled: false })
  })

  it('is written as it is read', () => {
    for (const sampled of [true, false]) {
      const context = { traceId, spanId, sampled }
      assert.deepEqual(parseTraceparent(formatTraceparent(context)), context)
    }
  })

  it('may have more fields in a version to come', () => {
    assert.ok(parseTraceparent(`01-${traceId}-${spanId}-01-more`))
    assert.equal(parseTraceparent(`00-${traceId}-${spanId}-01-more`), undefined)
  })

  for (const [what, text] of [
    ['nothing', ''],
    ['the version that is none', `ff-${traceId}-${spanId}-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['a span of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['a field that is too short', `00-${traceId.slice(1)}-${spanId}-01`],
    ['a line break', `00-${traceId}-${spanId}-01\n`],
  ] as const) {
    it(`is none, and ignored: ${what}`, () => assert.equal(parseTraceparent(text), undefined))
  }
})
