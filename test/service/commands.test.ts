import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import type { z } from 'zod'
import type { JobView } from '../../src/api/schemas/job.ts'
import type { JobList as JobListSchema } from '../../src/api/schemas/list.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { type Service, startRole, startService } from '../support/service.ts'

type JobList = z.infer<typeof JobListSchema>

describe('the commands', () => {
  let origin: Origin
  let service: Service
  before(async () => {
    origin = await startOrigin()
    const config = { processor: { max_retries: 0, download_url: '' }, notifier: { max_retries: 0 } }
    service = await startService({ roles: ['start'], config })
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  const begin = (args: string[], env: NodeJS.ProcessEnv = {}, input = '') =>
    startRole([...args, '--api', service.url, '-c', service.configFile], { cwd: service.dir, env, input })
  async function run(args: string[], env?: NodeJS.ProcessEnv, input?: string) {
    const role = begin(args, env, input)
    return { code: await role.ended, out: role.stdout(), err: role.stderr() }
  }
  const json = (out: string) =>
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))

  const jobOf = async (id: string) => (await (await service.get(`/jobs/${id}`)).json()) as JobView

  async function file(name: string, lines: string[]): Promise<string> {
    const name_ = path.join(service.dir, name)
    await writeFile(name_, lines.join('\n'))
    return name_
  }

  it('enqueue fills in what lines do not say, and prints the ids', async () => {
    await service.send('PATCH', '/aggregations/shop', { paused: true })
    const url = origin.on('/shop', 'hello')
    const own = { url, aggr_id: 'own', aggr_limit: 2, callback_type: 'none' }
    const lines = [url, JSON.stringify({ url, extra: 'mine' }), JSON.stringify(own)].join('\n')
    const flags = ['--aggr', 'shop', '--limit', '3', '--callback', service.receiver.url]
    const { code, out, err } = await run(['enqueue', '-', ...flags], {}, lines)
    assert.deepEqual([code, err], [0, '3 jobs enqueued\n'])
    const [first = '', second = '', third = ''] = out.trim().split('\n')
    const [shop] = json((await run(['aggregations', 'sho', '--json'])).out)
    assert.deepEqual([shop.aggr_id, shop.limit, shop.pending, shop.paused], ['shop', 3, 2, true])
    assert.match((await run(['aggregations'])).out, /^aggregation +limit .*\nshop +3 .* 2 .* paused$/m)
    await service.send('PATCH', '/aggregations/shop', { paused: null })
    assert.equal((await service.receiver.callbackOf(first)).extra, '')
    assert.equal((await service.receiver.callbackOf(second)).extra, 'mine')
    await eventually(async () => {
      const { state, aggr_id } = await jobOf(third)
      assert.deepEqual([state, aggr_id], ['done', 'own'])
    })
  })

  it('enqueue takes the host for the aggregation, and says with --json what became of each line', async () => {
    const url = origin.on('/hosted', 'hello')
    const { code, out, err } = await run(['enqueue', '-', '--json'], {}, `nonsense\n${url}`)
    assert.deepEqual([code, err], [1, ''])
    const [refused, accepted] = json(out)
    assert.deepEqual(refused, { line: 1, url: 'nonsense', error: 'url: must be an http or https URL' })
    assert.deepEqual(accepted, { line: 2, url, id: accepted.id })
    assert.equal((await jobOf(accepted.id)).aggr_id, new URL(url).host)
  })

  it('enqueue --wait downloads what a file names, and exits with 0 when all succeeded', async () => {
    const urls = [1, 2, 3].map((n) => origin.on(`/file-${n}`, 'hello'))
    const list = await file('urls', ['# three files', '', ...urls])
    const { code, out, err } = await run(['enqueue', list, '--wait', '--json'])
    assert.equal(code, 0, err)
    const ends = json(out).sort((a, b) => a.line - b.line)
    assert.deepEqual(
      ends.map(({ line, url, success, size }) => ({ line, url, success, size })),
      [
        { line: 3, url: urls[0], success: true, size: 5 },
        { line: 4, url: urls[1], success: true, size: 5 },
        { line: 5, url: urls[2], success: true, size: 5 },
      ],
    )
    const people = await run(['enqueue', list, '--wait'])
    assert.match(people.err, /^3 jobs: 3 succeeded; 15 B in [\d.]+ s$/m)
  })

  it('enqueue --wait takes a thousand URLs from a file, and tells of each of them once', async () => {
    const urls = Array.from({ length: 1000 }, (_, i) => origin.on(`/many/${i + 1}`, 'hello'))
    const list = await file('many', urls)
    const { code, out, err } = await run(['enqueue', list, '--aggr', 'many', '--limit', '16', '--wait', '--json'])
    assert.equal(code, 0, err)
    const ends = json(out).sort((a, b) => a.line - b.line)
    assert.deepEqual(
      ends.map(({ line, url, success }) => ({ line, url, success })),
      urls.map((url, i) => ({ line: i + 1, url, success: true })),
    )
  })

  it('enqueue --wait names what failed and what was refused, by line, and exits with 1', async () => {
    origin.on('/gone', (_request, response) => response.writeHead(404).end())
    const list = await file('bad', [`${origin.url}/gone`, 'not a url', '{"url":"http://origin.test/","aggr_limit":0}'])
    const { code, err } = await run(['enqueue', list, '--wait'])
    assert.equal(code, 1)
    assert.match(err, /^line 1: .*404 Not Found/m)
    assert.match(err, /^line 2: not a url url: must be an http or https URL$/m)
    assert.match(err, /^line 3: .*aggr_limit/m)
    assert.match(err, /^3 jobs: 0 succeeded, 3 failed \(refused 2, http\.404 1\)/m)
  })

  it('enqueue --wait says at Ctrl-C that the jobs go on', async () => {
    let finish: () => void = () => {}
    const asked = new Promise<void>((resolve) => {
      origin.on('/slow', (_request, response) => {
        finish = () => response.end('slow')
        resolve()
      })
    })
    const role = begin(['enqueue', '-', '--wait'], {}, `${origin.url}/slow`)
    await asked
    assert.equal(await role.end('SIGINT'), 130)
    assert.match(role.stderr(), /^1 job not over yet: they go on/m)
    finish()
  })

  it('get brings one file here, and leaves nothing with the service', async () => {
    const url = origin.on('/one', 'the content')
    const { code, err } = await run(['get', url, '-o', 'here'])
    assert.equal(code, 0, err)
    assert.equal(await readFile(path.join(service.dir, 'here'), 'utf8'), 'the content')
    const missing = await run(['get', `${origin.url}/gone`, '-o', 'missing'])
    assert.equal(missing.code, 1)
    assert.match(missing.err, /Received Status code 404/)
  })

  it('get ends at Ctrl-C in the middle of a file, also after garbage was collected, and leaves no part of it', async () => {
    const endless = createServer((_request, response) => {
      const timer = setInterval(() => response.write('more and more'), 20)
      response.on('close', () => clearInterval(timer))
    }).listen(0, '127.0.0.1')
    await once(endless, 'listening')
    try {
      const download_url = `http://127.0.0.1:${(endless.address() as AddressInfo).port}`
      await using other = await startService({ roles: ['start'], config: { processor: { download_url } } })
      const collecting =
        'import{setFlagsFromString}from"node:v8";import{runInNewContext}from"node:vm";' +
        'setFlagsFromString("--expose-gc");setInterval(runInNewContext("gc"),50).unref()'
      const role = startRole(['get', origin.on('/two', 'the content'), '--api', other.url, '-o', 'two'], {
        cwd: other.dir,
        env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(collecting)}` },
      })
      const parts = async () => (await readdir(other.dir)).filter((name) => name.startsWith('two'))
      await eventually(async () => {
        const [part] = await parts()
        assert.ok(part, 'nothing is there')
        assert.ok((await stat(path.join(other.dir, part))).size > 100, 'too little is there')
      })
      assert.equal(await role.end('SIGINT'), 130)
      assert.deepEqual(await parts(), [])
    } finally {
      endless.close()
      endless.closeAllConnections()
    }
  })

  it('pause, why, jobs, limit and resume steer an aggregation', async () => {
    assert.match((await run(['pause', 'cats'])).out, /cats.*paused/)
    const id = await service.enqueue({ aggr_id: 'cats', url: origin.on('/cat', 'meow') })
    assert.match((await run(['why', id])).out, /^paused: its aggregation is paused/)
    const listed = json((await run(['jobs', '--state', 'pending', '--aggr', 'cats', '--json'])).out)
    assert.deepEqual(
      listed.map((job) => job.id),
      [id],
    )
    const [set] = json((await run(['limit', 'cats', '7', '--rate', '2.5', '--json'])).out)
    assert.deepEqual([set.limit, set.rate], [7, 2.5])
    await run(['resume', 'cats'])
    assert.equal((await service.receiver.callbackOf(id)).success, true)
    await eventually(async () => {
      const { out } = await run(['job', id])
      assert.match(out, /^state +delivered$/m)
      assert.match(out, /^file until +\d{4}-/m)
    })
  })

  it('retry --failed queues callbacks again', async () => {
    service.receiver.answer = () => 500
    const id = await service.enqueue({ url: origin.on('/file', 'hello') })
    await eventually(async () => {
      assert.equal((await jobOf(id)).state, 'callback_failed')
    })
    service.receiver.answer = () => 200
    const { code, out } = await run(['retry', '--failed', '--receiver', new URL(service.receiver.url).origin])
    assert.equal(code, 0)
    assert.match(out, /^1 callback queued again/)
    assert.equal((await run(['retry', 'AAAAAAAAAAAAAA'])).code, 1)
  })

  it('retry --downloads queues failed downloads again: those of a time, and so many in a second', async () => {
    const url = `${origin.url}/late`
    const job = { aggr_id: 'late', url, callback_type: 'none', callback_dst: undefined }
    await Promise.all([service.enqueue(job), service.enqueue(job)])
    const rested = await eventually(async () => {
      const { jobs } = (await (await service.get('/jobs?state=failed&aggr_id=late')).json()) as JobList
      assert.equal(jobs.length, 2)
      return Math.max(...jobs.map(({ at }) => Date.parse(at)))
    })
    origin.on('/late', 'here')
    const retry = ['retry', '--downloads', '--aggr', 'late', '--since']
    const none = await run([...retry, new Date(rested + 1).toISOString()])
    assert.deepEqual([none.code, none.out], [0, '0 downloads queued again\n'])
    const [both] = json((await run([...retry, '1h', '--rate', '0.1', '--json'])).out)
    assert.equal(both.retried, 2)
    assert.ok(Date.parse(both.last_starts_at) > Date.now() + 5000, 'the second starts ten seconds after the first')
    await eventually(async () => {
      const { jobs } = (await (await service.get('/jobs?state=done&aggr_id=late')).json()) as JobList
      assert.equal(jobs.length, 1)
    })
  })

  it('cancel takes back what is named, or comes on standard input, and exits with 1 for what is not there', async () => {
    await service.send('PATCH', '/aggregations/unwanted', { paused: true })
    const job = { aggr_id: 'unwanted', url: origin.on('/file', 'hello') }
    const [one = '', two = '', three = ''] = await Promise.all([job, job, job].map(service.enqueue))
    const { code, out, err } = await run(['cancel', one, 'AAAAAAAAAAAAAA'])
    assert.deepEqual([code, out, err], [1, `${one} cancelled\n`, 'id: there is no job "AAAAAAAAAAAAAA"\n'])
    const others = await run(['cancel', '-', '--json'], {}, `${two}\n\n${three}\n`)
    assert.equal(others.code, 0)
    assert.deepEqual(json(others.out), [
      { id: two, state: 'cancelled' },
      { id: three, state: 'cancelled' },
    ])
    assert.equal((await run(['cancel'])).code, 2)
  })

  describe('delete', () => {
    const stored = (id: string) => existsSync(path.join(service.root, id.slice(0, 3), id))
    const stateOf = async (id: string) => (await jobOf(id)).state
    async function delivered(): Promise<string> {
      const { job_id } = await service.download({ url: origin.on('/file', 'hello') })
      await eventually(async () => assert.equal(await stateOf(job_id), 'delivered'))
      return job_id
    }

    it('removes what an access log says was fetched, and says what it did', async () => {
      const [whole = '', part = '', missed = '', other = ''] = await Promise.all([1, 2, 3, 4].map(delivered))
      const request = (id: string, method: string, status: number) =>
        `192.0.2.1 - - [01/Feb/2026:10:00:00 +0000] "${method} /base/${id.slice(0, 3)}/${id}?x=1 HTTP/1.1" ${status} 5 "-" "curl"`
      const log = [
        request(whole, 'GET', 200),
        request(whole, 'GET', 200),
        request(part, 'GET', 206),
        request(missed, 'HEAD', 200),
        request(missed, 'GET', 404),
        `192.0.2.1 - - [01/Feb/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "http://x.test/base/${other.slice(0, 3)}/${other}" "curl"`,
        request('AAAAAAAAAAAAAA', 'GET', 200),
        'no line of a log',
      ].join('\n')
      const tried = await run(['delete', '-', '--dry-run'], {}, log)
      assert.deepEqual([tried.code, tried.out], [0, `${whole} would be deleted\n`])
      assert.match(tried.err, /^1 job would be deleted, 1 gone already, 0 kept$/m)
      assert.ok(stored(whole))

      const { code, out, err } = await run(['delete', '-'], {}, log)
      assert.deepEqual([code, out], [0, `${whole} deleted\n`])
      assert.match(err, /^1 job deleted, 1 gone already, 0 kept$/m)
      await eventually(() => assert.equal(stored(whole), false))
      assert.deepEqual([part, missed, other].map(stored), [true, true, true])
      const again = await run(['delete', '-', '--json'], {}, log)
      assert.equal(again.code, 0)
      assert.deepEqual(
        json(again.out)
          .map(({ id }) => id)
          .sort(),
        [whole, 'AAAAAAAAAAAAAA'].sort(),
      )
    })

    it('keeps what is to be called back, names it, and exits with 1', async () => {
      service.receiver.answer = () => 500
      const failed = await service.enqueue({ url: origin.on('/file', 'hello') })
      await eventually(async () => assert.equal(await stateOf(failed), 'callback_failed'))
      service.receiver.answer = () => 200
      const fine = await delivered()
      const url = `http://files.test/base/${fine.slice(0, 3)}/${fine}`
      for (const flags of [['--dry-run'], []]) {
        const { code, out, err } = await run(['delete', failed, url, ...flags])
        assert.equal(code, 1)
        assert.match(out, new RegExp(`^${fine} `))
        assert.match(err, new RegExp(`${failed} .+\\n1 job .+, 1 kept$`, 'm'))
      }
      assert.ok(stored(failed))
      await eventually(() => assert.equal(stored(fine), false))
    })

    it('takes nothing for an id that is none', async () => {
      for (const args of [[], ['nonsense'], ['http://files.test/abc/defghijklmnopq'], ['-', '--parallel', '0']]) {
        assert.equal((await run(['delete', ...args])).code, 2, args.join(' '))
      }
    })

    it('passes over lines of other things, a few requests at once', async () => {
      const ids = await Promise.all(Array.from({ length: 40 }, delivered))
      const noise = Array.from({ length: 50 }, (_, i) => `/other/${i}`).join('\n')
      const { code, err } = await run(['delete', '-', '--parallel', '4'], {}, ids.join(`\n${noise}\n`))
      assert.equal(code, 0)
      assert.match(err, /^40 jobs deleted, 0 gone already, 0 kept$/m)
      await eventually(() => assert.equal(ids.some(stored), false))
    })
  })

  it('tail shows what happens: a table for people, or JSON', async () => {
    const people = begin(['tail', '--event', 'failed'])
    const tail = begin(['tail', '--aggr', 'live', '--json'])
    await eventually(() => assert.equal(people.stderr(), 'listening\n'))
    await eventually(async () => {
      await service.download({ aggr_id: 'live', url: `${origin.url}/nowhere` })
      assert.ok(json(tail.stdout()).some(({ event, group }) => event === 'started' && group === 'live'))
    })
    const line = /^\d{4}-\S+Z {2}[\w-]{14} {2}failed {13}http\.404 {2}downloads live$/m
    await eventually(() => assert.match(people.stdout(), line))
    assert.deepEqual(await Promise.all([tail.end('SIGINT'), people.end('SIGINT')]), [0, 0])
    assert.doesNotMatch(people.stdout(), /started|downloaded/)
  })

  it('status says that all are alive, also as JSON and for Graphite', async () => {
    const { code, out } = await run(['status'])
    assert.equal(code, 0)
    assert.match(out, /processors: 1, notifiers: 1/)
    const [all] = json((await run(['status', '--json'])).out)
    assert.deepEqual([all.healthy, all.processor.alive, all.notifier.alive, all.unaccounted], [true, 1, 1, 0])
    assert.match((await run(['status', '--graphite', 'dl.prod'])).out, /^dl\.prod\.processor\.alive 1 \d{10}$/m)
  })

  it('config print masks secrets, and config check exits with 1 when something is wrong', async () => {
    const env = {
      DOWNLOADER_REDIS__URL: 'redis://user:hidden1@redis.test:6379/0',
      DOWNLOADER_REDIS__SENTINEL: '["127.0.0.1:26379"]',
      DOWNLOADER_REDIS__MASTER_NAME: 'main',
      DOWNLOADER_REDIS__SENTINEL_PASSWORD: 'hidden2',
      DOWNLOADER_API__TOKENS: '["hidden3","hidden4"]',
      DOWNLOADER_BACKENDS__HTTP__SIGNING_SECRET: 'hidden5',
      DOWNLOADER_BACKENDS__KAFKA: JSON.stringify({
        'bootstrap.servers': 'kafka.test:9092',
        'sasl.username': 'shown',
        'sasl.password': 'hidden6',
        'ssl.key.password': 'hidden7',
        'ssl.key.pem': 'hidden8',
        'sasl.jaas.config': 'username="x" password="hidden9";',
        'sasl.oauthbearer.client.secret': 'hidden10',
      }),
      DOWNLOADER_BACKENDS__SQS: '{"region":"eu-west-1","endpoint":"https://key:hidden11@sqs.test"}',
      DOWNLOADER_PROCESSOR__REQUEST_HEADERS: '{"X-Key":"hidden12","X-Number":4711,"User-Agent":"shown"}',
      DOWNLOADER_PROCESSOR__DOWNLOAD_URL: 'https://user:hidden13@files.test/base',
      DOWNLOADER_NOTIFIER__DOWNLOAD_URL: 'https://files.test/base?key=hidden14',
      DOWNLOADER_TRACING__OTLP_URL: 'https://hidden15@collector.test/v1?key=hidden16',
    }
    const { code, out } = await run(['config', 'print'], env)
    assert.equal(code, 0)
    assert.doesNotMatch(out, /hidden|4711/)
    assert.match(out, /https:\/\/\(masked\)@collector\.test\/v1\?\(masked\)/)
    assert.match(out, /redis:\/\/user:\(masked\)@redis\.test/)
    assert.match(out, /shown/)
    const wrong = await run(['config', 'check'], { DOWNLOADER_API__PORT: 'x' })
    assert.equal(wrong.code, 1)
    assert.match(wrong.err, /DOWNLOADER_API__PORT: api\.port/)
  })

  it('config check says when a configuration is enough for some processes, but not for all of them', async () => {
    const bare = await file('bare.json', [
      JSON.stringify({ redis: { addr: service.redis.addr }, backends: { http: {} } }),
    ])
    const role = startRole(['config', 'check', '-c', bare], { cwd: service.dir })
    assert.equal(await role.ended, 0)
    assert.match(role.stderr(), /^processor\.filestorage is not given: no processor starts with this configuration$/m)
    const kafka = { 'bootstrap.servers': 'kafka.test:9092', 'go.batch.producer': true }
    const odd = await file('odd.json', [JSON.stringify({ processor: { storage_dir: '/tmp' }, backends: { kafka } })])
    const second = startRole(['config', 'check', '-c', odd], { cwd: service.dir })
    assert.equal(await second.ended, 0)
    assert.match(second.stderr(), /^redis is not given: nothing but downloader start does without$/m)
    assert.match(second.stderr(), /^backends\.kafka: "go\.batch\.producer" has no equivalent here and is ignored$/m)
    const none = await file('none.json', [JSON.stringify({ processor: { storage_dir: '/tmp' }, backends: {} })])
    const third = startRole(['config', 'check', '-c', none], { cwd: service.dir })
    assert.equal(await third.ended, 0)
    assert.match(third.stderr(), /^backends is empty: no notifier starts with this configuration$/m)
  })

  it('say what is wrong: no API, no token, no such job, a wrong flag', async () => {
    const absent = startRole(['status', '--api', 'http://127.0.0.1:9'])
    assert.equal(await absent.ended, 1)
    assert.match(absent.stderr(), /no answer from http:\/\/127\.0\.0\.1:9.*\nIs the API running there\?/)
    const unknown = await run(['why', 'AAAAAAAAAAAAAA'])
    assert.equal(unknown.code, 1)
    assert.equal(unknown.err, 'downloader: id: there is no job "AAAAAAAAAAAAAA"\n')
    const wrong = await run(['why', '--colour'])
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, /Usage: downloader why/)
  })

  describe('at an API that is alone, and wants a token', () => {
    let alone: Service
    before(async () => {
      alone = await startService({ roles: ['api'], config: { api: { tokens: ['open sesame'] } } })
    })
    after(() => alone[Symbol.asyncDispose]())
    const ask = (args: string[], env: NodeJS.ProcessEnv = { DOWNLOADER_TOKEN: 'open sesame' }) =>
      startRole([...args, '--api', alone.url], { env })

    it('send the token of DOWNLOADER_TOKEN, and ask for it when it is missing', async () => {
      const without = ask(['jobs'], {})
      assert.equal(await without.ended, 1)
      assert.match(without.stderr(), /DOWNLOADER_TOKEN/)
      const having = ask(['jobs'])
      assert.equal(await having.ended, 0, having.stderr())
    })

    it('status exits with 1, for nobody downloads or calls back', async () => {
      const people = ask(['status'])
      assert.equal(await people.ended, 1)
      assert.match(people.stdout(), /^processors: none, notifiers: none$/m)
      assert.match(people.stderr(), /^no processor is alive.*\nno notifier is alive/)
      const machines = ask(['status', '--json'])
      assert.equal(await machines.ended, 1)
      const { healthy, processor, notifier } = JSON.parse(machines.stdout())
      assert.deepEqual({ healthy, processor, notifier }, { healthy: false, processor: null, notifier: null })
    })
  })
})
