import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { hostOf } from '../../src/jobs/host.ts'
import { packRequest } from '../../src/jobs/record.ts'
import { queueSuite, request } from '../support/queue.ts'

const lua = (name: string) => readFileSync(new URL(`../../src/queue/${name}.lua`, import.meta.url), 'utf8')

describe('the host of a URL', () => {
  const { test } = queueSuite()

  for (const [url, host] of [
    ['http://Origin.Example/a', 'origin.example'],
    ['HTTPS://origin.example:8443?x#y', 'origin.example:8443'],
    ['http://user:pa@ss@origin.example#f', 'origin.example'],
    ['http://[::1]:80/', '[::1]:80'],
    ['http://λ.Example/', 'λ.example'],
    ['http://origin.example\\@other.example/', 'origin.example'],
    ['http:/origin.example/', ''],
    ['', ''],
  ] as const) {
    it(`of ${url} is ${host || 'not known'}`, () => assert.equal(hostOf(url), host))
  }

  const odd = fc.constantFrom(
    '@',
    ':',
    '/',
    '\\',
    '"',
    '?',
    '#',
    '\t',
    '\n',
    ' ',
    '%',
    'A',
    'É',
    '👩',
    '\ud800',
    '\x7f',
    '"u":"http://',
  )
  const text = fc.array(fc.oneof(odd, fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 12 })
  const url = fc
    .tuple(fc.constantFrom('http://', 'HTTPS://', 'http:', '', ' http://', 'x-y+z.1://'), text)
    .map(([scheme, parts]) => scheme + parts.join(''))
  const hostile = fc.constantFrom('"u":"http://evil.example/"', ',"u":"http://evil.example/', 'plain')

  it('is the one that is asked, for every URL that is written plainly', () => {
    const plain = fc.webUrl({ authoritySettings: { withPort: true, withUserInfo: true }, withQueryParameters: true })
    const property = fc.property(plain, fc.boolean(), (url, loud) => {
      const { protocol, host, port } = new URL(url)
      const asked = port === '' ? [host, `${host}:${protocol === 'http:' ? 80 : 443}`, `${host}:`] : [host]
      // what is no plain name of a host or an address, as 0.1 for 0.0.0.1, is left as it is
      fc.pre(URL.canParse(url) && /^[^@/?#]*@?[a-z0-9.-]+(:\d*)?$/i.test(new URL(url).host))
      assert.ok(asked.includes(hostOf(loud ? url.toUpperCase().replace('HTTP', 'http') : url)), url)
    })
    fc.assert(property, { numRuns: 2000 })
  })

  test('is the same to the scripts, whatever the request holds', async (q) => {
    const script = `${lua('lib')}${lua('lanes')}return host_asked(ARGV[1])`
    const property = fc.asyncProperty(fc.oneof(url, fc.webUrl()), hostile, async (url, name) => {
      const requestHeaders = { [name]: name, u: 'http://header.example/', v: name }
      const others = { aggrId: name, aggrProxy: name, extra: name, requestHeaders, subpath: name, traceparent: name }
      const packed = packRequest(request({ ...others, url }))
      assert.equal(await q.redis.eval(script, 1, `${q.base}downloads`, packed), hostOf(url))
    })
    await fc.assert(property, { numRuns: 2000 })
  })
})
