import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'
import { pino } from 'pino'
import { answerProblems } from '../../src/api/problems.ts'
import { loginRoutes } from '../../src/api/routes/login.ts'
import { refuseOtherSites } from '../../src/api/same-origin.ts'
import { sessionsOf } from '../../src/api/sessions.ts'

type Headers = Record<string, string>

describe('a request that changes something', () => {
  let server: http.Server
  let host: string
  before(async () => {
    const koa = new Koa()
    koa.use(answerProblems(pino({ level: 'silent' })))
    koa.use(refuseOtherSites())
    koa.use(loginRoutes(sessionsOf(['the-token'])).routes())
    koa.use((ctx) => {
      ctx.body = 'done'
    })
    server = koa.listen(0, '127.0.0.1')
    await once(server, 'listening')
    host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  after(() => new Promise((resolve) => server.close(resolve)))

  /** Not `fetch`, which keeps these headers to itself. */
  async function send(method: string, path: string, headers: Headers, body = ''): Promise<http.IncomingMessage> {
    const request = http.request(`http://${host}${path}`, { method, headers, agent: false }).end(body)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    return response
  }
  const status = async (headers: Headers, method = 'POST') => (await send(method, '/', headers)).statusCode

  it('is judged by Origin where the browser does not say Sec-Fetch-Site', async () => {
    assert.equal(await status({ origin: `http://${host}` }), 200)
    assert.equal(await status({ origin: `https://${host}` }), 200, 'a proxy may speak TLS')
    for (const origin of [
      'http://evil.example',
      `http://${host}.evil.example`,
      'http://127.0.0.1',
      `http://a@${host}x`,
    ]) {
      for (const method of ['POST', 'PATCH', 'DELETE', 'PUT'])
        assert.equal(await status({ origin }, method), 403, origin)
      assert.equal(await status({ origin }, 'GET'), 200, 'reading is free')
    }
  })

  it('is refused from an Origin that is hidden, or no address', async () => {
    for (const origin of ['null', 'file://', 'about:blank', 'nonsense'])
      assert.equal(await status({ origin }), 403, origin)
  })

  it('is judged by Sec-Fetch-Site before Origin', async () => {
    for (const site of ['same-origin', 'none']) {
      assert.equal(await status({ 'sec-fetch-site': site, origin: 'http://evil.example' }), 200, site)
    }
    for (const site of ['cross-site', 'same-site', 'nonsense']) {
      assert.equal(await status({ 'sec-fetch-site': site, origin: `http://${host}` }), 403, site)
    }
  })

  it('is taken from programs, which send neither', async () => {
    assert.equal(await status({}), 200)
    assert.equal(await status({}, 'DELETE'), 200)
  })

  it('gets a session for this site alone, and over TLS only where there is TLS', async () => {
    const cookie = async (headers: Headers) => {
      const response = await send('POST', '/login', headers, 'token=the-token')
      assert.equal(response.statusCode, 303)
      const [given = ''] = response.headers['set-cookie'] ?? []
      return given.split('; ').slice(1)
    }
    const always = ['Path=/', 'HttpOnly', 'SameSite=Strict', 'Max-Age=604800']
    assert.deepEqual(await cookie({}), always)
    assert.deepEqual(await cookie({ 'x-forwarded-proto': 'http' }), always)
    assert.deepEqual(await cookie({ 'x-forwarded-proto': 'https' }), [...always, 'Secure'])
    const forged = await send('POST', '/login', { origin: 'http://evil.example' }, 'token=the-token')
    assert.equal(forged.statusCode, 403)
    assert.equal(forged.headers['set-cookie'], undefined)
  })
})
