import assert from 'node:assert/strict'
import type { Verdict } from '../../src/api/schemas/dry-run.ts'
import { type RawOrigin, startCanary } from '../support/origin.ts'
import { type Service, startRole, startService } from '../support/service.ts'

describe('where a job may lead', () => {
  let service: Service
  let canary: RawOrigin
  let job: Record<string, unknown>

  before(async () => {
    canary = await startCanary()
    service = await startService({
      roles: ['api'],
      config: {
        processor: { allow_networks: ['10.1.0.0/16'], allow_ports: [6000] },
        notifier: { allow_networks: ['169.254.7.0/24'] },
        backends: { sqs: { region: 'eu-west-1' }, kafka: { 'bootstrap.servers': '127.0.0.1:2' } },
      },
    })
    job = {
      aggr_id: 'guarded',
      aggr_limit: 1,
      url: 'http://93.184.216.34/',
      callback_type: 'http',
      callback_dst: 'http://10.0.0.1/',
    }
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await canary[Symbol.asyncDispose]()
  })

  async function post(change: Record<string, unknown>, query = '') {
    const answer = await service.post(`/download${query}`, { ...job, ...change })
    return { status: answer.status, body: (await answer.json()) as { detail: string } & Verdict }
  }
  const accepted = async () => Number(await service.redis.cli('HGET', '{downloader}:totals', 'accepted'))

  describe('is judged at the POST:', () => {
    const wrong: [what: string, change: Record<string, unknown>, detail: string][] = [
      ['a private address', { url: 'http://10.2.0.1/' }, 'url: refused address: 10.2.0.1 is private'],
      ['its other spelling', { url: 'https://0xa020001/' }, 'url: refused address: 10.2.0.1 is private'],
      ['localhost', { url: 'http://localhost/' }, 'url: refused address: localhost (127.0.0.1) is loopback'],
      ['a metadata service', { url: 'http://169.254.169.254/' }, 'url: refused address: 169.254.169.254 is a cloud'],
      ['the port of a database', { url: 'http://db.test:6379/' }, 'url: refused port: 6379 of db.test is the port of'],
      ['a private proxy', { aggr_proxy: 'http://10.2.0.1:3128/' }, 'aggr_proxy: refused address: 10.2.0.1 is private'],
      ['a proxy at the port of SMTP', { aggr_proxy: 'http://p.test:25/' }, 'aggr_proxy: refused port: 25 of p.test'],
      [
        'a metadata service as receiver',
        { callback_dst: 'http://169.254.169.254/' },
        'callback_dst: refused address: 169.254.169.254 is a cloud metadata address',
      ],
      [
        'a link-local receiver under the older name',
        { callback_url: 'http://[fe80::1]/' },
        'callback_url: refused address: fe80::1 is link-local',
      ],
      [
        'a link-local receiver of errors',
        { callback_error_dst: 'http://[::ffff:169.254.1.1]/' },
        'callback_error_dst: refused address: ::ffff:a9fe:101 is link-local',
      ],
      [
        'a queue at a metadata service',
        { callback_type: 'sqs', callback_dst: '169.254.169.254/1/queue' },
        'callback_dst: refused address: 169.254.169.254 is a cloud metadata address',
      ],
      ['another scheme', { url: 'gopher://127.0.0.1:6379/_FLUSHALL' }, 'url: must be an http or https URL'],
      ['a zone', { url: 'http://[fe80::1%25eth0]/' }, 'url: must be an http or https URL'],
    ]
    for (const [what, change, expected] of wrong) {
      it(what, async () => {
        const before = await accepted()
        const { status, body } = await post(change)
        assert.equal(status, 400, JSON.stringify(body))
        assert.ok(body.detail.startsWith(expected), body.detail)
        assert.equal(await accepted(), before)
      })
    }

    it('not what the deployment allows, and not names', async () => {
      for (const change of [
        { url: 'http://10.1.2.3/' },
        { url: 'http://93.184.216.34:6000/' },
        { aggr_proxy: 'http://10.1.2.3:3128/' },
        { url: 'http://nobody.invalid/' },
        { callback_dst: 'http://127.0.0.1:25/' },
        { callback_dst: 'http://169.254.7.1/' },
        { callback_type: 'kafka', callback_dst: '169.254.169.254' },
      ]) {
        const { status, body } = await post(change)
        assert.equal(status, 201, JSON.stringify([change, body]))
      }
    })
  })

  describe('is told by a dry run', () => {
    it('with the request as it was understood, and nothing is enqueued', async () => {
      const before = await accepted()
      const change = { extra: '', user_agent: 'ferto', request_headers: { Host: 'x', 'X-A': 5 }, subpath: '/a//b/' }
      const { status, body } = await post(change, '?dry_run=1')
      assert.equal(status, 200)
      assert.deepEqual(body, {
        would_be_accepted: true,
        reasons: [],
        request: { ...job, request_headers: { 'X-A': '5' }, subpath: 'a/b' },
        destinations: {
          url: {
            ...{ allowed: true, scheme: 'http', host: '93.184.216.34', port: 80 },
            ...{ addresses: [{ address: '93.184.216.34', allowed: true, reason: '' }], reasons: [], note: '' },
          },
          callback_dst: {
            ...{ allowed: true, scheme: 'http', host: '10.0.0.1', port: 80 },
            ...{ addresses: [{ address: '10.0.0.1', allowed: true, reason: '' }], reasons: [], note: '' },
          },
        },
      })
      assert.equal(await accepted(), before)
    })

    it('with every reason and its field', async () => {
      const { status, body } = await post(
        {
          url: `http://127.1:${canary.port}/`,
          aggr_proxy: 'http://10.2.0.1:25/',
          callback_type: 'sqs',
          callback_dst: 'metadata.localhost/1/queue',
          callback_error_type: 'http',
          callback_error_dst: 'http://169.254.169.254/',
        },
        '?dry_run=true',
      )
      assert.equal(status, 200)
      assert.equal(body.would_be_accepted, false)
      assert.deepEqual(body.reasons, [
        'url: refused address: 127.0.0.1 is loopback',
        'aggr_proxy: refused port: 25 of 10.2.0.1 is the port of SMTP',
        'aggr_proxy: refused address: 10.2.0.1 is private',
        'callback_error_dst: refused address: 169.254.169.254 is a cloud metadata address',
      ])
      assert.equal(body.destinations.url?.note, 'the proxy looks the name up')
      assert.deepEqual(body.destinations.callback_dst?.host, 'metadata.localhost')
      assert.equal(canary.connections, 0)
    })

    it('for a name, which a POST cannot know', async () => {
      const { body } = await post({ url: `http://canary.localhost:${canary.port}/` }, '?dry_run=1')
      assert.equal(body.would_be_accepted, false)
      assert.deepEqual(
        body.destinations.url?.addresses.map(({ address, reason }) => [address, reason]),
        [
          ['127.0.0.1', 'loopback'],
          ['::1', 'loopback'],
        ],
      )
      const unknown = await post({ url: 'http://nobody.invalid/' }, '?dry_run=1')
      assert.equal(unknown.body.would_be_accepted, true)
      assert.equal(unknown.body.destinations.url?.note, 'no address found for host nobody.invalid')
      assert.equal(canary.connections, 0)
    })

    it('where fields are wrong: all of them, and no name is looked up', async () => {
      const { status, body } = await post({ aggr_limit: 0, mime_type: '!' }, '?dry_run=1')
      assert.equal(status, 200)
      assert.deepEqual([body.would_be_accepted, body.request, body.destinations], [false, null, {}])
      assert.deepEqual(
        body.reasons.map((reason) => reason.split(':')[0]),
        ['aggr_limit', 'mime_type'],
      )
    })

    it('only when it is asked for in so many words', async () => {
      const before = await accepted()
      for (const query of ['?dry_run', '?dry_run=', '?dry_run=yes', '?dry_run=1&dry_run=0', '?dry_run=2']) {
        const { status, body } = await post({}, query)
        assert.deepEqual([status, body.detail], [400, 'dry_run: must be 1 or 0, once'], query)
      }
      const garbage = await service.post('/download?dry_run=1', 'garbage')
      assert.equal(garbage.status, 400)
      assert.equal(await accepted(), before)
      for (const query of ['', '?dry_run=0', '?dry_run=false', '?other=1']) {
        assert.equal((await post({}, query)).status, 201, query)
      }
    })

    it('not for many, of which none is enqueued either', async () => {
      const before = await accepted()
      const answer = await service.post('/downloads?dry_run=1', [job])
      assert.equal(answer.status, 400)
      assert.match(((await answer.json()) as { detail: string }).detail, /^dry_run: /)
      assert.equal(await accepted(), before)
      const refused = await service.post('/downloads', [{ ...job, url: 'http://10.2.0.1/' }, job])
      const [first, second] = (await refused.json()) as { id?: string; error?: { detail: string } }[]
      assert.equal(first?.error?.detail, 'url: refused address: 10.2.0.1 is private')
      assert.ok(second?.id)
    })

    it('also without Redis', async () => {
      await using alone = await startService({ roles: ['api'] })
      await alone.redis.kill()
      const answer = await alone.post('/download?dry_run=1', job)
      assert.equal(answer.status, 200)
      assert.equal(((await answer.json()) as Verdict).would_be_accepted, true)
    })
  })

  describe('is told by the command explain-url', () => {
    async function explain(...args: string[]) {
      const role = startRole(['explain-url', '-c', service.configFile, ...args])
      return { code: await role.ended, said: role.stdout() }
    }

    it('which exits with 0 when a connection would be made', async () => {
      for (const args of [
        ['http://93.184.216.34/'],
        ['http://10.1.2.3:6000/'],
        ['--callback', 'http://127.0.0.1:6379/'],
        ['--callback', 'http://169.254.7.1/'],
      ]) {
        const { code, said } = await explain(...args)
        assert.equal(code, 0, said)
        assert.match(said, /^Allowed\.$/m)
      }
    })

    it('which says what is refused and why, and exits with 1', async () => {
      const { code, said } = await explain(`http://127.1:25/`)
      assert.equal(code, 1)
      assert.match(said, /^port +25 +refused: the port of SMTP$/m)
      assert.match(said, /^address +127\.0\.0\.1 +refused: loopback$/m)
      assert.match(said, /^Blocked: refused address: 127\.0\.0\.1 is loopback\.$/m)
      assert.match(said, /^What is yours is exempt by allow_networks and allow_ports/m)
      const local = await explain(`http://canary.localhost:${canary.port}/`)
      assert.equal(local.code, 1)
      assert.match(local.said, /^address +::1 +refused: loopback$/m)
      for (const url of ['ftp://far.example/', 'nonsense', 'http://nobody.invalid/']) {
        const { code, said } = await explain(url)
        assert.deepEqual([code, said.includes('exempt')], [1, false], url)
      }
      assert.equal(canary.connections, 0)
    })

    it('which wants a URL, and only one', async () => {
      for (const args of [[], ['http://a.test/', 'http://b.test/']]) assert.equal((await explain(...args)).code, 2)
    })
  })
})
