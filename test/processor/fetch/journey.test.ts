import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Journey, newJourney, travelled } from '../../../src/processor/fetch/journey.ts'
import { type Certificates, makeCertificates } from '../../support/certificates.ts'
import { response, startRawOrigin } from '../../support/origin.ts'
import { startFetcher } from './harness.ts'
import { startProxy } from './proxy-server.ts'

describe('what a fetch tells of its journey', () => {
  let certificates: Certificates
  before(async () => {
    certificates = await makeCertificates()
  })
  after(() => certificates[Symbol.asyncDispose]())

  const within = (name: string, ms: number, from: number, to = from + 1500) =>
    assert.ok(ms >= from && ms <= to, `${name}: ${ms} ms, expected ${from} to ${to}`)
  const unused = ({ connecting }: Journey) => Object.values(connecting).every((ms) => ms === 0)

  it('is where its redirects ended, and how many there were', async () => {
    await using origin = await startRawOrigin((_, head) =>
      head.startsWith('GET /end') ? response('there') : response('', { Location: '/end?a=b#c' }, '302 Found'),
    )
    await using fetcher = await startFetcher()
    const journey = newJourney()
    await fetcher.read(`http://user:word@127.0.0.1:${origin.port}/begin`, { journey })
    const { url, redirects } = journey
    assert.deepEqual({ url, redirects }, { url: `${origin.url}/end`, redirects: 1 })
  })

  it('is how long the connection, the first byte and the last one took', async () => {
    await using origin = await startRawOrigin(async (socket) => {
      await delay(60)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1')
      await delay(60)
      socket.write('2')
    }, certificates.good)
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    const journey = newJourney()
    await fetcher.read(`https://good.test:${origin.port}/`, { journey })
    const { connecting, firstByteMs, totalMs } = journey
    assert.ok(connecting.dns > 0 && connecting.connect > 0 && connecting.tls > 0, JSON.stringify(connecting))
    within('first byte', firstByteMs, connecting.dns + connecting.connect + connecting.tls + 55)
    within('total', totalMs, firstByteMs + 55)
  })

  it('counts a connection once, for the request that it was made for', async () => {
    await using origin = await startRawOrigin(() => response('there'))
    await using fetcher = await startFetcher()
    const [first, second] = [newJourney(), newJourney()]
    await fetcher.read(origin.url, { journey: first })
    await fetcher.read(origin.url, { journey: second })
    assert.ok(first.connecting.connect > 0)
    assert.ok(unused(second), JSON.stringify(second))
  })

  it('counts the way through a proxy as connecting, and TLS with the origin apart', async () => {
    await using origin = await startRawOrigin(() => response('there'), certificates.good)
    await using proxy = await startProxy()
    await using fetcher = await startFetcher({}, { ca: certificates.ca })
    const journey = newJourney()
    await fetcher.read(origin.url, { journey, proxy: proxy.url })
    assert.ok(journey.connecting.connect > 0 && journey.connecting.tls > 0, JSON.stringify(journey))
  })

  it('says of a failure how far it came', async () => {
    await using silent = await startRawOrigin(() => undefined)
    await using origin = await startRawOrigin(() => response('', { Location: silent.url }, '302 Found'))
    await using fetcher = await startFetcher({ headers_timeout_ms: 100, connect_timeout_ms: 150 })
    const journey = newJourney()
    await assert.rejects(fetcher.fetch(origin.url, { journey }), { code: 'timeout.headers' })
    assert.deepEqual([journey.url, journey.redirects], [`${silent.url}/`, 1])
    within('total', journey.totalMs, 99)

    const handshake = newJourney()
    const fetching = fetcher.fetch(`https://127.0.0.1:${silent.port}/`, { journey: handshake })
    await assert.rejects(fetching, { code: 'connect.timeout' })
    within('tls', handshake.connecting.tls, 100)
    assert.equal(handshake.firstByteMs, 0)
  })

  it('is short in a record, and says nothing of what was never asked for', () => {
    const journey = newJourney()
    assert.deepEqual(travelled(journey), {})
    journey.url = 'http://a.test/'
    journey.connecting.dns = 1.6
    journey.totalMs = 12.4
    assert.deepEqual(travelled(journey), { timings: [2, 0, 0, 0, 12] })
    journey.redirects = 2
    assert.deepEqual(travelled(journey), { timings: [2, 0, 0, 0, 12], redirects: 2, finalUrl: 'http://a.test/' })
  })
})
