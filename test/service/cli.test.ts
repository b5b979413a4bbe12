import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { startOrigin } from '../support/http-origin.ts'
import { startRedis } from '../support/redis.ts'
import { ask, type Service, startRole, startService } from '../support/service.ts'

describe('the command line', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-cli-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  async function configFile(config: object): Promise<string> {
    const file = path.join(dir, 'c.json')
    await writeFile(file, JSON.stringify(config))
    return file
  }

  it('prints its version and its help', async () => {
    const version = startRole(['version'])
    assert.equal(await version.ended, 0)
    const { version: expected } = JSON.parse(await readFile('package.json', 'utf8'))
    assert.equal(version.stdout(), `${expected}\n`)
    const help = startRole(['--help'])
    assert.equal(await help.ended, 0)
    for (const word of ['start', 'api', 'processor', 'notifier', 'check', 'version', '--config', '--port', '--host']) {
      assert.ok(help.stdout().includes(word), word)
    }
  })

  it('says what is wrong with its arguments, and exits with 2', async () => {
    for (const args of [[], ['fetch'], ['api', '--colour'], ['api', 'extra'], ['api', '-p']]) {
      const role = startRole(args)
      assert.equal(await role.ended, 2, args.join(' '))
      assert.match(role.stderr(), /downloader: .*/)
    }
    const idle = startRole(['processor', '--port', '9'])
    assert.equal(await idle.ended, 2)
    assert.equal(idle.stderr(), 'downloader: processor takes no --port\n`downloader --help` says what there is.\n')
  })

  it('names the missing file and the wrong key, and exits with 1', async () => {
    const absent = startRole(['processor', '-c', 'absent.json'], { cwd: dir })
    assert.equal(await absent.ended, 1)
    assert.match(absent.stderr(), /absent\.json: cannot be read/)
    const wrong = startRole([
      'api',
      '-c',
      await configFile({ redis: { addr: 'x:1' }, backends: {}, api: { port: 'x' } }),
    ])
    assert.equal(await wrong.ended, 1)
    assert.match(wrong.stderr(), /api\.port/)
  })

  it('reads config.json where no file is named', async () => {
    const role = startRole(['api'], { cwd: dir })
    assert.equal(await role.ended, 1)
    assert.match(role.stderr(), /config\.json/)
  })

  it('runs a notifier only with a backend', async () => {
    const role = startRole(['notifier', '-c', await configFile({ redis: { addr: '127.0.0.1:1' }, backends: {} })])
    assert.equal(await role.ended, 1)
    assert.match(role.stderr(), /backends: no backend/)
  })

  it('runs a processor only where files may go, and says so in one line', async () => {
    const file = await configFile({ redis: { addr: '127.0.0.1:1' }, backends: { http: {} } })
    const role = startRole(['processor', '-c', file])
    assert.equal(await role.ended, 1)
    assert.equal(role.stderr(), 'downloader: processor.filestorage: is required\n')
  })

  it('listens where the flags say, also without Redis', async () => {
    const config = await configFile({ redis: { addr: '127.0.0.1:1' }, backends: { http: {} } })
    const role = startRole(['api', '--host', '127.0.0.1', '--port', '0', '--config', config])
    const { url } = await role.logged(({ msg }) => msg === 'listening')
    assert.match(String(url), /^http:\/\/127\.0\.0\.1:\d+$/)
    assert.equal((await ask('GET', `${url}/hb`)).status, 200)
    assert.equal(await role.end(), 0)
  })

  it('listens on 127.0.0.1 too when the host is localhost', async () => {
    const config = await configFile({ redis: { addr: '127.0.0.1:1' }, backends: { http: {} } })
    const role = startRole(['api', '--host', 'localhost', '-p', '0', '-c', config])
    const { url } = await role.logged(({ msg }) => msg === 'listening')
    assert.equal((await ask('GET', `http://127.0.0.1:${new URL(String(url)).port}/hb`)).status, 200)
    assert.equal(await role.end(), 0)
  })

  it('says that a port is taken', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as net.AddressInfo
    const config = await configFile({ redis: { addr: '127.0.0.1:1' }, backends: { http: {} }, api: { port } })
    const role = startRole(['api', '-c', config])
    assert.equal(await role.ended, 1)
    assert.match(role.stderr(), /EADDRINUSE.*\nSomething else listens there: choose another port/)
    assert.doesNotMatch(role.stderr(), /^ +at /m)
    server.close()
  })

  it('warns at start when callbacks will carry no download_url, and of unknown keys', async () => {
    await using redis = await startRedis()
    const config = await configFile({
      redis: { addr: redis.addr },
      processor: { storage_dir: path.join(dir, 'files') },
      notifier: { pool: 3 },
      backends: { http: {} },
    })
    const notifier = startRole(['notifier', '-c', config])
    await notifier.logged(({ level, msg }) => level === 'warn' && /download_url has no value/.test(String(msg)))
    await notifier.logged(({ level, msg }) => level === 'warn' && /notifier\.pool/.test(String(msg)))
    assert.equal(await notifier.end(), 0)
  })

  for (const env of [{}, { PATH: process.env.PATH ?? '' }]) {
    it(`runs everything with no configuration at all${env.PATH ? '' : ', and an empty environment'}`, async () => {
      await using origin = await startOrigin()
      const options = {
        cwd: dir,
        env: { ...env, DOWNLOADER_PROCESSOR__ALLOW_NETWORKS: '["127.0.0.0/8"]' },
      }
      const role = startRole(['start', '--port', '0'], options)
      const { url } = await role.logged(({ msg }) => msg === 'listening')
      assert.notEqual(new URL(String(url)).port, '8000')
      const received = new Promise<Record<string, unknown>>((resolve) => {
        origin.on('/receiver', async (request, response) => {
          let text = ''
          for await (const chunk of request) text += chunk
          response.end()
          resolve(JSON.parse(text))
        })
      })
      const response = await ask('POST', `${url}/download`, {
        aggr_id: 'a',
        aggr_limit: 1,
        url: origin.on('/file', 'hello'),
        callback_type: 'http',
        callback_dst: `${origin.url}/receiver`,
      })
      assert.equal(response.status, 201)
      const { job_id, success } = await received
      assert.equal(success, true)
      const id = String(job_id)
      assert.equal(await readFile(path.join(dir, 'data', 'files', id.slice(0, 3), id), 'utf8'), 'hello')
      assert.match(role.stdout(), /Downloader is ready/)
      assert.ok(role.stdout().includes(path.join(dir, 'data', 'files')))
      assert.equal(await role.end(), 0)
    })
  }

  it('takes no settings for the demonstration, which has its own', async () => {
    const role = startRole(['start', '--demo', '--port', '0'], { cwd: dir })
    assert.equal(await role.ended, 2)
    assert.match(role.stderr(), /start --demo takes no --port/)
  })

  it('shows four whole jobs as a demonstration, a line of JSON each, and ends with 0', async () => {
    const role = startRole(['start', '--demo'], { cwd: dir })
    assert.equal(await role.ended, 0, role.stderr())
    const callbacks = role
      .stdout()
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    assert.deepEqual(callbacks.map(({ error_code }) => error_code).sort(), ['', '', 'http.404', 'mime.mismatch'])
  })

  it('finishes what runs when it is told to stop, and exits with 0', async () => {
    await using origin = await startOrigin()
    await using service = await startService()
    let finish: () => void = () => {}
    const asked = new Promise<void>((resolve) => {
      origin.on('/slow', (_request, response) => {
        response.write('first')
        finish = () => response.end('last')
        resolve()
      })
    })
    const id = await service.enqueue({ url: `${origin.url}/slow` })
    await asked
    const ended = service.role('processor').end('SIGTERM')
    await service.role('processor').logged(({ msg }) => msg === 'stopping')
    finish()
    assert.equal(await ended, 0)
    assert.equal((await service.receiver.callbackOf(id)).size, 9)
    for (const name of ['notifier', 'api']) assert.equal(await service.role(name).end('SIGINT'), 0)
  })

  it('hands back what does not end within the grace, without an attempt or a stall', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ config: { processor: { shutdown_grace_ms: 50, max_retries: 0 } } })
    let requests = 0
    const asked = new Promise<void>((resolve) => {
      origin.on('/hangs-once', (_request, response) => {
        if (requests++ > 0) return void response.end('done')
        response.write('first')
        resolve()
      })
    })
    const id = await service.enqueue({ url: `${origin.url}/hangs-once` })
    await asked
    assert.equal(await service.role('processor').end('SIGTERM'), 0)
    assert.equal(await service.redis.cli('HGET', `{downloader}:state:${id}`, 'attempts'), '')
    assert.equal(await service.redis.cli('HGET', `{downloader}:state:${id}`, 'stalls'), '')
    await service.add('processor')
    assert.equal((await service.receiver.callbackOf(id)).success, true)
  })
})

describe('downloader check', () => {
  async function check(service: Service, ...args: string[]) {
    const role = startRole(['check', '-c', service.configFile, ...args])
    return { code: await role.ended, said: role.stdout() }
  }

  it('prints the books, and exits with 0 when every job is accounted for', async () => {
    await using service = await startService({ roles: ['api'] })
    for (let i = 0; i < 3; i++) await service.enqueue({ url: 'http://origin.test/' })
    const { code, said } = await check(service)
    assert.equal(code, 0)
    assert.match(said, /^accepted +3\npending in downloads +3\nclaimed in downloads +0$/m)
    assert.match(said, /^All jobs are accounted for\.$/m)
  })

  it('names the key of what is wrong, exits with 1, and mends it when it is told to', async () => {
    await using service = await startService({ roles: ['api'] })
    const lost = await service.enqueue({ url: 'http://origin.test/', aggr_id: 'cats' })
    await service.redis.cli('ZREM', '{downloader}:downloads:pending:cats', lost)
    const before = await check(service)
    assert.equal(before.code, 1)
    assert.ok(before.said.includes(`{downloader}:request:${lost}: job ${lost} is in no place\n`))
    assert.match(before.said, /^\d things are wrong\.$/m)
    const mended = await check(service, '--repair')
    assert.equal(mended.code, 0)
    assert.ok(mended.said.includes(`job ${lost} is in no place\n`))
    assert.equal((await check(service)).code, 0)
    assert.equal(await service.redis.cli('ZCARD', '{downloader}:downloads:pending:cats'), '1')
  })

  it('says that Redis does not answer, and exits with 1', async () => {
    await using service = await startService({ roles: ['api'] })
    await service.redis.kill()
    const role = startRole(['check', '-c', service.configFile])
    assert.equal(await role.ended, 1)
    assert.match(role.stderr(), /^downloader: Redis does not answer$/m)
  }).timeout(20_000)

  it('warns at the start of every process when Redis does not keep what it is given', async () => {
    await using service = await startService()
    for (const role of service.roles) await role.logged(({ msg }) => /keeps no append-only file/.test(String(msg)))
  })
})
