import assert from 'node:assert/strict'
import fc from 'fast-check'
import { parseMimePattern } from '../../src/jobs/mime-pattern.ts'

const check = (pattern: string, found: string) => parseMimePattern(pattern).check(found)

describe('A mime_type pattern', () => {
  it('holds for the type that it names', () => {
    assert.equal(check('image/png', 'image/png'), undefined)
  })

  it('says which type was expected and which was found', () => {
    assert.equal(check('image/jpeg', 'image/png'), 'Expected mime-type to be (image/jpeg), found (image/png)')
  })

  it('says which type was not expected', () => {
    assert.equal(check('!image/png', 'image/png'), 'Expected mime-type not to be (image/png), found (image/png)')
  })

  it('holds for any other type when negated', () => {
    assert.equal(check('!image/png', 'image/gif'), undefined)
  })

  it('wants all of its parts to hold', () => {
    const pattern = '!image/vnd.adobe.photoshop,image/*'
    assert.equal(check(pattern, 'image/png'), undefined)
    assert.equal(check(pattern, 'text/html'), 'Expected mime-type to be (image/*), found (text/html)')
    const photoshop = 'Expected mime-type not to be (image/vnd.adobe.photoshop), found (image/vnd.adobe.photoshop)'
    assert.equal(check(pattern, 'image/vnd.adobe.photoshop'), photoshop)
  })

  it('names the first part that fails', () => {
    assert.equal(
      check('image/png,image/jpeg', 'text/plain'),
      'Expected mime-type to be (image/png), found (text/plain)',
    )
    assert.equal(check('image/png,image/jpeg', 'image/png'), 'Expected mime-type to be (image/jpeg), found (image/png)')
  })

  it('takes * for any run of characters and ? for any one', () => {
    for (const glob of ['*', '*/*', 'image/*', 'image/p?g', '*png', 'i*g', '**/**', '?????????', '*?*']) {
      assert.equal(check(glob, 'image/png'), undefined, glob)
    }
    for (const glob of ['image/p?', 'image/?', 'image', 'png', '*jpeg', '?', '*image', 'image/png?', '*?image/png']) {
      assert.notEqual(check(glob, 'image/png'), undefined, glob)
    }
  })

  it('takes the signs of regular expressions as they are', () => {
    assert.notEqual(check('image/.*', 'image/png'), undefined)
    assert.notEqual(check('image/svg.xml', 'image/svg+xml'), undefined)
    assert.equal(check('image/svg+xml', 'image/svg+xml'), undefined)
    assert.notEqual(check('[a-z]*/png', 'image/png'), undefined)
  })

  it('does not mind letter case, and repeats the part as it was written', () => {
    assert.equal(check('IMAGE/Png', 'image/png'), undefined)
    assert.equal(check('video/mp2t', 'video/MP2T'), undefined)
    assert.equal(check('Image/JPEG', 'image/png'), 'Expected mime-type to be (Image/JPEG), found (image/png)')
  })

  it('does not mind white space around its parts, nor empty parts', () => {
    assert.equal(check(' image/* , ! image/gif ,, ', 'image/png'), undefined)
    assert.equal(
      check(' image/* , ! image/gif ,, ', 'image/gif'),
      'Expected mime-type not to be (image/gif), found (image/gif)',
    )
    assert.equal(check('', 'image/png'), undefined)
    assert.equal(check(' , ', 'image/png'), undefined)
  })

  it('is refused when nothing follows a !', () => {
    for (const pattern of ['!', 'image/*,!', '! ,image/*', '!!image/png']) {
      assert.throws(() => parseMimePattern(pattern), /has a ! without a mime-type after it/, pattern)
    }
  })

  it('is refused when it holds control characters', () => {
    for (const pattern of ['image/png\n', 'image/\0png', '\x7f', 'a\x85b', '\x1b[31m']) {
      assert.throws(() => parseMimePattern(pattern), /control characters/, JSON.stringify(pattern))
    }
  })

  it('agrees with the same pattern as a regular expression', () => {
    const glob = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '?'), minLength: 1, maxLength: 8 })
    const found = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 10 })
    fc.assert(
      fc.property(glob, found, (glob, found) => {
        const expression = new RegExp(`^${glob.replace(/\*+/g, '.*').replace(/\?/g, '.')}$`)
        assert.equal(check(glob, found) === undefined, expression.test(found))
        assert.equal(check(`!${glob}`, found) === undefined, !expression.test(found))
      }),
      { seed: 1, numRuns: 2000 },
    )
  })

  it('does not take long for a glob made to take long', () => {
    const started = performance.now()
    assert.notEqual(check(`${'*a'.repeat(500)}b`, 'a'.repeat(20_000)), undefined)
    assert.notEqual(check(`${'a*'.repeat(500)}b?`, 'a'.repeat(20_000)), undefined)
    assert.ok(performance.now() - started < 1000)
  })
})
