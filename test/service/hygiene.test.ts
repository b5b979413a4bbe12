import assert from 'node:assert/strict'
import fc from 'fast-check'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startRole, startService } from '../support/service.ts'

const MAX_BODY = 200_000

describe('the body of POST /download', () => {
  let service: Service
  let job: Record<string, unknown>

  before(async () => {
    service = await startService({ roles: ['api'], config: { api: { max_body_bytes: MAX_BODY } } })
    job = {
      aggr_id: 'a',
      aggr_limit: 1,
      url: 'http://127.0.0.1/',
      callback_type: 'http',
      callback_dst: service.receiver.url,
    }
  })
  after(() => service[Symbol.asyncDispose]())

  async function post(body: string | Uint8Array<ArrayBuffer>) {
    const response = await fetch(`${service.url}/download`, { method: 'POST', body })
    const { id = '', detail = '' } = (await response.json()) as { id?: string; detail?: string }
    return { status: response.status, id, detail, type: response.headers.get('content-type') }
  }
  /** The job's body with more text inside of its braces. */
  const withText = (text: string) => `${JSON.stringify(job).slice(0, -1)},${text}}`
  const stored = async (id: string) => JSON.parse(await service.redis.cli('GET', `{downloader}:request:${id}`))

  async function assertRefused(body: string | Uint8Array<ArrayBuffer>, detail: RegExp) {
    const answer = await post(body)
    assert.equal(answer.status, 400, answer.detail)
    assert.match(answer.detail, detail)
  }
  async function assertAccepted(body: string | Uint8Array<ArrayBuffer>) {
    const { status, id, detail } = await post(body)
    assert.equal(status, 201, detail)
    return stored(id)
  }

  it('may begin with one byte order mark, not with two', async () => {
    await assertAccepted(`\ufeff${JSON.stringify(job)}`)
    await assertRefused(`\ufeff\ufeff${JSON.stringify(job)}`, /^the body is not JSON/)
    await assertRefused(Buffer.from(JSON.stringify(job), 'utf16le'), /^the body is not/)
  })

  it('counts the last of fields of one name', async () => {
    const { a, h } = await assertAccepted(withText('"aggr_id":"second","request_headers":{"A":"1","A":"2"}'))
    assert.deepEqual([a, h], ['second', { A: '2' }])
    await assertRefused(withText('"aggr_limit":0'), /^aggr_limit: /)
  })

  it('cannot be made to mean something by names that JavaScript knows', async () => {
    for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty']) {
      const request = await assertAccepted(withText(`"${name}":{"aggr_limit":7,"url":"http://10.0.0.1/","extra":"x"}`))
      assert.deepEqual([request.l, request.u, request.e], [1, 'http://127.0.0.1/', undefined], name)
    }
    await assertRefused('{"__proto__":{"aggr_id":"a","aggr_limit":1,"url":"http://127.0.0.1/"}}', /^aggr_id: /)
    const { h } = await assertAccepted(withText('"request_headers":{"constructor":"a","toString":"b"}'))
    assert.deepEqual(h, { constructor: 'a', toString: 'b' })
    await assertRefused(
      withText('"request_headers":{"__proto__":"a"}'),
      /^request_headers\.__proto__: is not a header name$/,
    )
    await assertRefused(withText('"request_headers":{"__proto__":{"a":"b"}}'), /^request_headers\.__proto__: /)
  })

  it('may be nested as deeply as it is long', async () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const depth = Math.floor((MAX_BODY - 1000) / (open.length + close.length))
      const deep = open.repeat(depth) + (open === '[' ? '' : '1') + close.repeat(depth)
      await assertRefused(deep, /^the body must be a JSON object|^aggr_id: /)
      await assertAccepted(withText(`"unknown":${deep}`))
      await assertRefused(withText(`"extra":${deep}`), /^extra: must be a string$/)
      await assertRefused(withText(`"request_headers":${deep}`), /^request_headers/)
      await assertRefused(open.repeat(depth), /^the body is not JSON/)

      const some = open.repeat(depth / 4) + (open === '[' ? '' : '1') + close.repeat(depth / 4)
      const batch = `[${JSON.stringify(job)},{"unknown":${some}},${some}]`
      const response = await service.post('/downloads', batch)
      assert.equal(response.status, 200, await response.clone().text())
      const [first, second, third] = (await response.json()) as { id?: string; error?: { detail: string } }[]
      assert.ok(first?.id)
      assert.match(second?.error?.detail ?? '', /^aggr_id: /)
      assert.match(third?.error?.detail ?? '', /^the body must be a JSON object|^aggr_id: /)
    }
  })

  it('has no numbers beyond what they count', async () => {
    for (const number of ['1e400', '-1e400', '1e21', '9007199254740993', '2147483648', '1.5', '-1', '1e-400', '-0']) {
      await assertRefused(withText(`"aggr_limit":${number}`), /^aggr_limit: /)
    }
    for (const number of ['1e400', '1e300', '2147483648', '0.1']) {
      await assertRefused(withText(`"max_retries":${number}`), /^max_retries: /)
    }
    // in seconds: a timer of Node's ends at 2^31 - 1 ms, and a longer one would end at once
    for (const number of ['2147484', '2147483647', '1e400', '0']) {
      await assertRefused(withText(`"download_timeout":${number}`), /^download_timeout: /)
    }
    await assertAccepted(withText('"download_timeout":2147483,"max_retries":2147483647,"aggr_limit":2147483647'))
    await assertRefused(withText('"request_headers":{"A":1e400}'), /^request_headers\.A: /)
    for (const [field, most, beyond] of [
      ['aggr_rate', '1000000', '1000000.1'],
      ['aggr_burst', '1000000', '1000001'],
      ['max_bytes', '9007199254740991', '9007199254740992'],
      ['max_pixels', '9007199254740991', '9007199254740992'],
      ['priority', '9', '10'],
    ] as const) {
      for (const number of ['1e400', '-1e400', '1e21', '-1', '-1e-6', beyond]) {
        await assertRefused(withText(`"${field}":${number}`), new RegExp(`^${field}: `))
      }
      await assertAccepted(withText(`"aggr_rate":1,"${field}":${most}`))
    }
    for (const field of ['aggr_rate', 'aggr_burst', 'max_bytes', 'max_pixels']) {
      for (const number of ['0', '-0', '1e-400']) {
        await assertRefused(withText(`"aggr_rate":1,"${field}":${number}`), new RegExp(`^${field}: `))
      }
    }
  })

  it('has an end to every text', async () => {
    const long = (length: number) => 'x'.repeat(length)
    for (const [field, text] of [
      ['aggr_id', long(1025)],
      ['aggr_proxy', `http://p.test/${long(8192)}`],
      ['url', `http://o.test/${long(8192)}`],
      ['callback_dst', `http://o.test/${long(8192)}`],
      ['callback_url', `http://o.test/${long(8192)}`],
      ['callback_error_dst', `http://o.test/${long(8192)}`],
      ['mime_type', long(1025)],
      ['checksum', `sha256:${long(250)}`],
      ['s3_bucket', long(256)],
      ['s3_region', long(65)],
      ['subpath', long(1025)],
    ] as const) {
      await assertRefused(JSON.stringify({ ...job, [field]: text }), new RegExp(`^${field}: is longer than`))
    }
    const headers = (value: Record<string, string>) => JSON.stringify({ ...job, request_headers: value })
    await assertAccepted(headers({ A: long(65_000) }))
    await assertRefused(headers({ A: long(65_536) }), /^request_headers: are longer than 65536 characters$/)
    await assertRefused(headers({ [long(65_537)]: 'a' }), /^request_headers: are longer/)
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`A${i}`, '']))
    await assertAccepted(headers(many(128)))
    await assertRefused(headers(many(129)), /^request_headers: are more than 128$/)
  })

  it('has no headers that end early, or that have no bytes of their own', async () => {
    for (const value of ['a\r\nB: c', 'a\nB: c', 'a\0', 'a\ud800', '\udc00']) {
      await assertRefused(JSON.stringify({ ...job, request_headers: { A: value } }), /^request_headers\.A: must/)
    }
    // U+010D and U+010A are CR and LF for whoever cuts characters down to bytes
    const { h } = await assertAccepted(JSON.stringify({ ...job, request_headers: { A: 'a\u010d\u010aB: c' } }))
    assert.deepEqual(h, { A: 'a\u010d\u010aB: c' })
  })

  it('is answered at once, whatever mime_type asks for', async () => {
    const globs = [`${'*a'.repeat(511)}b`, `!${'*?'.repeat(511)}`, '*,'.repeat(512), '?'.repeat(1024)]
    for (const mime_type of globs) {
      const begun = performance.now()
      await assertAccepted(JSON.stringify({ ...job, mime_type }))
      assert.ok(performance.now() - begun < 1000)
    }
  })

  it('is accepted, or refused with the name of a field, whatever it is', async () => {
    const fields = [
      ...['aggr_id', 'aggr_limit', 'aggr_rate', 'aggr_burst', 'aggr_proxy', 'url', 'extra'],
      ...['callback_type', 'callback_dst', 'callback_url'],
      ...['callback_error_type', 'callback_error_dst', 'mime_type', 'max_retries', 'extract_image_size', 'subpath'],
      ...['checksum', 'max_bytes', 'max_pixels', 'priority', 'not_before', 'download_timeout', 'request_headers'],
      ...['s3_bucket', 's3_region', '__proto__', 'constructor', 'unknown'],
    ]
    const named = new RegExp(`^(the body (is|must be) |(${fields.join('|')})(\\.|: ))`, 's')
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)) }),
      fc.webUrl({ withQueryParameters: true }),
      fc.constantFrom(
        '',
        '\0',
        '\ufeff',
        '\ud800',
        'http://[',
        'http://0x7f.1:25/',
        '//',
        '..',
        '!',
        '*',
        '%',
        'kafka',
      ),
      fc.constantFrom('http', 'sqs', 'x'.repeat(9000), '169.254.169.254/1/q', 'http://10.0.0.1/', '\u009b2J\r\n'),
    )
    const number = fc.constantFrom('1e400', '-0', '1e21', '2147483648', '0.5', '-1', '1', '00', '1e', '0x1')
    const json = fc.oneof(
      { weight: 3, arbitrary: text.map((value) => JSON.stringify(value)) },
      { weight: 1, arbitrary: number },
      { weight: 2, arbitrary: fc.json({ maxDepth: 4 }) },
      { weight: 1, arbitrary: fc.dictionary(text, fc.oneof(text, fc.integer())).map((value) => JSON.stringify(value)) },
    )
    const changed = fc
      .array(fc.tuple(fc.constantFrom(...fields), json), { minLength: 1, maxLength: 4 })
      .map((changes) => withText(changes.map(([name, value]) => `"${name}":${value}`).join()))
    const cut = fc.tuple(changed, fc.nat(400)).map(([body, length]) => body.slice(0, length))
    const bytes = fc.uint8Array({ maxLength: 200 }).map((array) => new Uint8Array(array))
    const body = fc.oneof(
      { weight: 12, arbitrary: changed },
      { weight: 1, arbitrary: cut },
      { weight: 1, arbitrary: bytes },
      { weight: 1, arbitrary: fc.json() },
    )
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(body, async (body) => {
        const { status, detail, type, id } = await post(body)
        if (status === 201) {
          accepted++
          assert.match(id, /^[A-Za-z0-9_-]{14}$/)
        } else {
          assert.equal(status, 400, detail)
          assert.match(detail, named)
          assert.match(type ?? '', /^application\/problem\+json/)
        }
      }),
      { numRuns: 1500 },
    )
    assert.ok(accepted > 50, `only ${accepted} were accepted`)
    const api = service.role('api')
    assert.deepEqual([api.child.exitCode, api.stderr()], [null, ''])
    assert.deepEqual(
      api.logs.filter(({ level }) => level === 'error' || level === 'fatal'),
      [],
    )
    const check = startRole(['check', '-c', service.configFile])
    assert.equal(await check.ended, 0, check.stdout())
  }).timeout(60_000)
})

describe('an aggr_id of any characters', () => {
  const ids = [
    'pending',
    'pending:a',
    'a:pending:b',
    'line',
    ':',
    '*',
    '{downloader}:totals',
    '}{other}:x',
    'a b c',
    ' ',
    '0',
    '1 http://10.0.0.1/',
    '-1',
    'nil',
    '__proto__',
    'constructor',
    '\u0001',
    '\n',
    'a\n{"level":"fatal","msg":"forged"}\n',
    '\r\n\r\n',
    '\u001b[2J\u001b]0;title\u0007',
    '\u009b31m',
    '\u2028\u2029\u202e',
    '%00%0a',
    '"\\',
    '../../etc',
    '%s%n',
    '😀'.repeat(512),
    '\ufeff',
    'é',
    'e\u0301',
  ]
  let service: Service
  let origin: Origin

  before(async () => {
    origin = await startOrigin()
    service = await startService({ roles: ['start'] })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  it('is a group of its own, by its own name, and all its jobs are done', async () => {
    const url = origin.on('/file', 'content')
    const jobs = ids.flatMap((aggr_id) => [1, 2, 3].map(() => service.enqueue({ url, aggr_id, aggr_limit: 1 })))
    for (const id of await Promise.all(jobs)) {
      assert.equal((await service.receiver.callbackOf(id)).success, true)
    }
    const said = service.role('start').logs.flatMap(({ aggr_id }) => (typeof aggr_id === 'string' ? [aggr_id] : []))
    assert.deepEqual([...new Set(said)].sort(), [...ids].sort())
    assert.equal(service.role('start').stderr(), '')
    assert.deepEqual(
      service.role('start').logs.filter(({ msg }) => msg === 'forged'),
      [],
    )
    assert.deepEqual(await (await service.get('/dashboard/aggregations')).json(), [])
  })

  it('touches no key but those of its group, and is listed by its name', async () => {
    await using waiting = await startService({ roles: ['api'] })
    const own = ids.map((id) => `{downloader}:downloads:pending:${id}`)
    for (const aggr_id of ids) await waiting.enqueue({ url: 'http://127.0.0.1/', aggr_id })
    const keys = JSON.parse(await waiting.redis.cli('EVAL', "return cjson.encode(redis.call('KEYS', '*'))", '0'))
    const others = (keys as string[]).filter((key) => !own.includes(key) && !/:request:[\w-]{14}$/.test(key)).sort()
    const expected = [
      'downloads',
      'downloads:groups',
      'downloads:line',
      'instances:api',
      'reports:api',
      'rooms',
      'totals',
    ]
    assert.deepEqual(
      others,
      expected.map((name) => `{downloader}:${name}`),
    )
    const listed = (await (await waiting.get('/dashboard/aggregations')).json()) as { name: string; size: number }[]
    const named = listed.map(({ name, size }) => [name, size] as const)
    assert.deepEqual(new Map(named), new Map(ids.map((id) => [`jobs:${id}`, 1])))
    const check = startRole(['check', '-c', waiting.configFile])
    assert.equal(await check.ended, 0, check.stdout())
  })

  it('forges no line of what check reports', async () => {
    await using waiting = await startService({ roles: ['api'] })
    const aggr_id = 'x\nAll jobs are accounted for.\n\u001b[8m\u009b8m'
    const id = await waiting.enqueue({ url: 'http://127.0.0.1/', aggr_id })
    await waiting.redis.cli('ZADD', `{downloader}:downloads:pending:${aggr_id}`, '0', `${id.slice(0, -1)}~`)
    const check = startRole(['check', '-c', waiting.configFile])
    assert.equal(await check.ended, 1)
    assert.ok(!check.stdout().split('\n').includes('All jobs are accounted for.'), check.stdout())
    assert.doesNotMatch(check.stdout().replaceAll('\n', ''), /\p{Cc}/u)
  })
})
