import assert from 'node:assert/strict'
import { metadataFromExtra } from '../../src/storage/metadata.ts'

describe("metadata of objects in callers' own buckets", () => {
  it('is the string and number fields of extra', () => {
    const extra = JSON.stringify({ shop: 'a', Count: 5, ok: true, none: null, list: [1], deep: {} })
    assert.deepEqual(metadataFromExtra(extra), { shop: 'a', count: '5' })
  })

  it('is one field where extra is no JSON object', () => {
    assert.deepEqual(metadataFromExtra('foobar'), { extra: 'foobar' })
    assert.deepEqual(metadataFromExtra('[1]'), { extra: '[1]' })
    assert.deepEqual(metadataFromExtra('5'), { extra: '5' })
    assert.deepEqual(metadataFromExtra(''), {})
    assert.deepEqual(metadataFromExtra('{}'), {})
  })

  it('holds only what a header can', () => {
    const extra = JSON.stringify({ 'a b:c': 'x', city: 'Αθήνα', lines: 'a\r\nX-Evil: 1', __proto__x: 'p', '': 'empty' })
    const metadata = metadataFromExtra(extra)
    assert.deepEqual(Object.keys(metadata).sort(), ['__proto__x', 'a-b-c', 'city', 'lines'])
    assert.equal(metadata.city, `=?UTF-8?B?${Buffer.from('Αθήνα').toString('base64')}?=`)
    for (const value of Object.values(metadata)) assert.match(value, /^[\x20-\x7e]*$/)
  })

  it('knows no name that means something to JavaScript', () => {
    const extra = '{"constructor": "x", "toString": "y", "__proto__": "z"}'
    assert.equal(Object.entries(metadataFromExtra(extra)).join(), 'constructor,x,tostring,y,__proto__,z')
  })

  it('has numbers as they were written, however long', () => {
    const extra = '{"id": 12345678901234567891, "price": 1.50, "text": "1.50 \\" 7", "-5": -5e3, "deep": {"a": 1}}'
    assert.deepEqual(metadataFromExtra(extra), {
      id: '12345678901234567891',
      price: '1.50',
      text: '1.50 " 7',
      '-5': '-5e3',
    })
  })

  it('takes the first of names that come out the same', () => {
    assert.deepEqual(metadataFromExtra('{"Shop": "a", "shop": "b"}'), { shop: 'a' })
  })

  it('is quick with an extra that is large and odd', () => {
    const begin = performance.now()
    for (const part of ['1', '\\\\', 'a"', '1e', '-'])
      metadataFromExtra(`{"a": ${JSON.stringify(part.repeat(300_000))}}`)
    metadataFromExtra(`{"a": ${'1'.repeat(1_000_000)}e5}`)
    assert.ok(performance.now() - begin < 2000)
  })

  it('fits into 2 KiB: a field that does not is left out', () => {
    const extra = JSON.stringify({ first: 'a', huge: 'x'.repeat(3000), last: 'b' })
    assert.deepEqual(metadataFromExtra(extra), { first: 'a', last: 'b' })
  })
})
