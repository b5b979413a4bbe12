import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { isSameHome, redirectTarget } from '../../../src/processor/fetch/redirects.ts'
import { response, startRawOrigin } from '../../support/origin.ts'
import { type Expected, failure, header, startFetcher } from './harness.ts'

describe('a Location', () => {
  const from = new URL('https://origin.test/folder/file?query')
  const target = (location: string | string[] | undefined, status = 302) =>
    redirectTarget({ status, headers: { location } as IncomingHttpHeaders }, from)?.href // several, whatever Node's types say

  const followed: [what: string, location: string | string[], to: string][] = [
    ['that is relative', 'other', 'https://origin.test/folder/other'],
    ['that climbs above the root', '../../../../etc/passwd', 'https://origin.test/etc/passwd'],
    ['without a scheme', '//cdn.test/x', 'https://cdn.test/x'],
    ['with backslashes', '\\\\cdn.test\\x', 'https://cdn.test/x'],
    ['of a fragment alone', '#part', 'https://origin.test/folder/file?query#part'],
    ['of a query alone', '?other', 'https://origin.test/folder/file?other'],
    ['in UTF-8', Buffer.from('/grüße?ö=ü').toString('latin1'), 'https://origin.test/gr%C3%BC%C3%9Fe?%C3%B6=%C3%BC'],
    ['in Latin-1', '/gr\xfc\xdfe', 'https://origin.test/gr%C3%BC%C3%9Fe'],
    ['with a name that is not ASCII', Buffer.from('//bücher.test/').toString('latin1'), 'https://xn--bcher-kva.test/'],
    ['with spaces', '/a b', 'https://origin.test/a%20b'],
    ['with a tab, as browsers do', '/a\tb', 'https://origin.test/ab'],
    ['that comes twice and says the same', ['/x', '/x'], 'https://origin.test/x'],
    ['of 16 KiB', `/${'x'.repeat(16_383)}`, `https://origin.test/${'x'.repeat(16_383)}`],
    ['in another case', 'HTTPS://CDN.Test:443/X', 'https://cdn.test/X'],
  ]
  for (const [what, location, to] of followed) {
    it(`${what} is followed`, () => assert.equal(target(location), to))
  }

  const refused: [what: string, location: string | string[] | undefined, text: string][] = [
    ['that is not there', undefined, 'redirects without saying where to: 302 Found has no Location'],
    ['that is empty', '', 'redirects without saying where to'],
    ['that comes twice and says different things', ['/x', '/y'], 'to several places at once'],
    ['of more than 16 KiB', `/${'x'.repeat(16_384)}`, 'to a URL of 16385 bytes, 16384 at most are followed'],
    ['whose port is none', '//cdn.test:99999/', 'to something that is not a URL'],
    ['whose host is none', 'http://%00/', 'to something that is not a URL'],
    ['whose address is none', 'http://1.2.3.4.5.6/', 'to something that is not a URL'],
  ]
  for (const [what, location, text] of refused) {
    it(`${what} is not followed`, () => {
      const expected = { code: 'redirect.invalid', text, retriable: false, responseCode: 302 }
      assert.throws(() => target(location), failure(expected))
    })
  }

  it('means something with five statuses only', () => {
    const all = Array.from({ length: 200 }, (_, i) => 200 + i)
    assert.deepEqual(
      all.filter((status) => target('/x', status) !== undefined),
      [301, 302, 303, 307, 308],
    )
  })

  it('leads home where origin and port stay, and where the host now wants to be asked over TLS', () => {
    const home = (from: string, to: string) => isSameHome(new URL(from), new URL(to))
    assert.equal(home('http://a.test/x', 'http://a.test:80/y'), true)
    assert.equal(home('http://a.test/x', 'https://a.test/x'), true)
    assert.equal(home('https://a.test/x', 'http://a.test/x'), false)
    assert.equal(home('http://a.test/x', 'https://b.a.test/x'), false)
    assert.equal(home('http://a.test:8080/x', 'https://a.test:8443/x'), false)
    assert.equal(home('https://a.test/x', 'https://a.test:8443/x'), false)
  })

  describe('as it travels', () => {
    const moved = (lines: string) => `HTTP/1.1 302 Found\r\n${lines}\r\nContent-Length: 0\r\n\r\n`
    const malformed = { code: 'response.malformed', text: 'is not HTTP', retriable: true, responseCode: 0 }
    const invalid = { code: 'redirect.invalid', text: 'redirects', retriable: false, responseCode: 302 }
    const cases: Record<string, [lines: string, expected: Expected]> = {
      'with a control character': ['Location: /a\x01b', malformed],
      'with NUL': ['Location: /a\0b', malformed],
      'that is folded': ['Location: /a\r\n b', malformed],
      'that splits the response': ['Location: /a\rSet-Cookie: b', malformed],
      'of 100 kB': [
        `Location: /${'x'.repeat(100_000)}`,
        { code: 'limit.headers', text: '65536 bytes', retriable: false, responseCode: 0 },
      ],
      'that is empty': ['Location:', invalid],
      'twice, differently': ['Location: /a\r\nlocation: /b', invalid],
    }
    for (const [what, [lines, expected]] of Object.entries(cases)) {
      it(`${what} is a failure with a name`, async () => {
        await using origin = await startRawOrigin(() => moved(lines))
        await using fetcher = await startFetcher()
        await assert.rejects(fetcher.fetch(origin.url), failure(expected))
        assert.equal(origin.heads.length, 1)
      })
    }

    it('tells the failure of another host from one of its own', async () => {
      await using other = await startRawOrigin(() => response('', {}, '503 Service Unavailable'))
      await using origin = await startRawOrigin((_, head) => {
        if (head.startsWith('GET /busy')) return response('', {}, '503 Service Unavailable')
        return response('', { Location: head.startsWith('GET /here') ? '/busy' : other.url }, '302 Found')
      })
      await using fetcher = await startFetcher()
      await assert.rejects(fetcher.fetch(`${origin.url}/busy`), { code: 'http.503', redirected: false })
      await assert.rejects(fetcher.fetch(`${origin.url}/here`), { code: 'http.503', redirected: false })
      await assert.rejects(fetcher.fetch(`${origin.url}/away`), { code: 'http.503', redirected: true })
    })

    it('brings the credentials that it holds to its own origin only, and no earlier ones', async () => {
      await using third = await startRawOrigin(() => response('there'))
      await using second = await startRawOrigin(() => moved(`Location: ${third.url}/`))
      await using first = await startRawOrigin(() => moved(`Location: http://us%40er:@127.0.0.1:${second.port}/#x`))
      await using fetcher = await startFetcher()
      assert.equal(await fetcher.read(first.url, { headers: { Authorization: 'Bearer first' } }), 'there')
      const sent = [first, second, third].map(({ heads }) => header(heads[0], 'authorization'))
      assert.deepEqual(sent, ['Bearer first', `Basic ${Buffer.from('us@er:').toString('base64')}`, undefined])
    })
  })
})
