import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { ConfigError, loadConfig } from '../../src/config/load.ts'

describe('the configuration', () => {
  let dir: string
  before(() => {
    dir = mkdtempSync(path.join(os.tmpdir(), 'downloader-config-'))
  })
  after(() => rmSync(dir, { recursive: true }))

  const minimal = { redis: { addr: 'localhost:6379' }, backends: { http: {} } }
  function file(content: unknown): string {
    const name = path.join(dir, 'config.json')
    writeFileSync(name, typeof content === 'string' ? content : JSON.stringify(content))
    return name
  }
  const load = (content: unknown, env = {}) => loadConfig(file(content), env)
  function assertWrong(content: unknown, message: RegExp, env = {}) {
    assert.throws(
      () => load(content, env),
      (error) => error instanceof ConfigError && message.test(error.message),
    )
  }

  it('has the documented defaults', () => {
    const { config, warnings } = load(minimal)
    assert.deepEqual(warnings, [])
    const { api, processor, notifier, redis, backends } = config
    assert.deepEqual(redis, { addr: 'localhost:6379', key_prefix: 'downloader' })
    assert.deepEqual(api, {
      host: '127.0.0.1',
      port: 8000,
      max_body_bytes: 1_048_576,
      max_batch_bytes: 16_777_216,
      max_queued_jobs: 0,
      request_timeout_ms: 30_000,
    })
    assert.deepEqual(processor, {
      concurrency: 256,
      max_retries: 2,
      retry_backoff_ms: 120_000,
      lease_ms: 30_000,
      max_stalls: 3,
      disk_high: 95,
      host_limit: 0,
      metrics_port: 0,
      metrics_host: '127.0.0.1',
      stats_interval: 5000,
      shutdown_grace_ms: 30_000,
      rest_ttl_days: 30,
      resume: true,
      request_headers: {},
      max_bytes: 0,
      max_decode_ratio: 200,
      min_bytes_per_s: 100,
      min_speed_window_s: 60,
      redirect_headers: [],
      max_pixels: 0,
      connect_timeout_ms: 5000,
      headers_timeout_ms: 30_000,
      stall_timeout_ms: 30_000,
      allow_networks: [],
      allow_ports: [],
    })
    assert.deepEqual(notifier, {
      concurrency: 10,
      max_retries: 5,
      retry_backoff_ms: 10_000,
      deletion_interval: 180,
      allow_networks: [],
      lease_ms: 30_000,
      max_stalls: 3,
      metrics_port: 0,
      metrics_host: '127.0.0.1',
      stats_interval: 5000,
      shutdown_grace_ms: 30_000,
    })
    assert.deepEqual(backends, { http: { timeout: 30 } })
  })

  it('accepts the sample, whose keys are those of the original', () => {
    const { warnings } = loadConfig(path.resolve('config.json.sample'), {})
    assert.deepEqual(
      warnings.filter((warning) => warning.includes('is not a key')),
      [],
    )
  })

  it('ignores a key that it does not know, and says its name', () => {
    const { warnings } = load({ ...minimal, processor: { concurency: 5 }, statsd: {} })
    assert.equal(warnings.length, 2)
    assert.match(warnings.join(), /processor\.concurency/)
    assert.match(warnings.join(), /statsd/)
  })

  it('names the key of a wrong value', () => {
    assertWrong({ ...minimal, processor: { concurrency: 'many' } }, /config\.json: processor\.concurrency: /)
    assertWrong({ ...minimal, processor: { concurrency: 0 } }, /processor\.concurrency/)
    assertWrong({ ...minimal, api: { port: 70_000 } }, /api\.port/)
    assertWrong({ ...minimal, backends: { http: { timeout: -1 } } }, /backends\.http\.timeout/)
    assertWrong({ ...minimal, processor: { allow_networks: ['10.0.0.0/99'] } }, /processor\.allow_networks\.0/)
    assertWrong({ ...minimal, notifier: { allow_networks: ['10.1/16'] } }, /notifier\.allow_networks\.0/)
    assertWrong({ ...minimal, processor: { allow_ports: [65_536] } }, /processor\.allow_ports\.0/)
    assertWrong({ ...minimal, processor: { shutdown_grace_ms: 2 ** 31 } }, /processor\.shutdown_grace_ms/)
    assertWrong({ ...minimal, processor: { disk_low: 99 } }, /processor\.disk_low/)
    assertWrong({ ...minimal, processor: { filestorage: { type: 'ftp' } } }, /processor\.filestorage/)
    assertWrong(
      { ...minimal, processor: { filestorage: { type: 's3', bucket: 'b' } } },
      /processor\.filestorage\.region/,
    )
    assertWrong({ ...minimal, notifier: { deletion_interval: -1 } }, /notifier\.deletion_interval/)
    assertWrong({ ...minimal, redis: { addr: 'x:1', key_prefix: 'a{b}' } }, /redis\.key_prefix/)
    assertWrong({ ...minimal, redis: { url: 'http://x' } }, /redis\.url/)
    assertWrong({ ...minimal, redis: { sentinel: ['a:1'] } }, /redis\.master_name/)
    assertWrong({ ...minimal, redis: { cluster: ['a'] } }, /redis\.cluster\.0/)
    assertWrong({ ...minimal, redis: {} }, /redis: needs addr, url, sentinel or cluster/)
  })

  it('requires redis and backends', () => {
    assertWrong({ backends: {} }, /redis: is required/)
    assertWrong({ redis: minimal.redis }, /backends: is required/)
  })

  it('lets disk_high stand alone, also below the default of disk_low', () => {
    assert.equal(load({ ...minimal, processor: { disk_high: 50 } }).config.processor.disk_high, 50)
    assertWrong({ ...minimal, processor: { disk_high: 50, disk_low: 51 } }, /processor\.disk_low/)
  })

  it('says what is wrong with the file itself', () => {
    assertWrong('{', /config\.json: is not JSON/)
    assertWrong('{"api": {"tokens": [s3cr3t]}}', /config\.json: is not JSON: (?!.*s3cr3t)/)
    assertWrong('[]', /config\.json: must hold a JSON object/)
    assert.throws(() => loadConfig(path.join(dir, 'absent.json'), {}), /absent\.json: cannot be read: ENOENT/)
  })

  it('takes values from the environment, before those of the file', () => {
    const { config, warnings } = load(minimal, {
      DOWNLOADER_REDIS__ADDR: 'elsewhere:1',
      DOWNLOADER_PROCESSOR__CONCURRENCY: '7',
      DOWNLOADER_PROCESSOR__FILESTORAGE__TYPE: 'filesystem',
      DOWNLOADER_PROCESSOR__FILESTORAGE__ROOTDIR: '/files',
      DOWNLOADER_PROCESSOR__ALLOW_NETWORKS: '["10.0.0.0/8"]',
      DOWNLOADER_API__TOKENS: '["12345"]',
      DOWNLOADER_API__HEARTBEAT_PATH: '/tmp/5',
      DOWNLOADER_NOTIFIER__DELETION_INTERVAL: '0.5',
      DOWNLOADER_BACKENDS__KAFKA: '{"bootstrap.servers":"k:9092"}',
    })
    assert.deepEqual(warnings, [])
    assert.equal(config.redis.addr, 'elsewhere:1')
    assert.equal(config.processor.concurrency, 7)
    assert.deepEqual(config.processor.filestorage, { type: 'filesystem', rootdir: '/files' })
    assert.deepEqual(config.processor.allow_networks, ['10.0.0.0/8'])
    assert.deepEqual(config.api.tokens, ['12345'])
    assert.equal(config.notifier.deletion_interval, 0.5)
    assert.ok(config.backends.kafka)
  })

  it('lays longer variables over the JSON of shorter ones, whatever their order', () => {
    const json = { DOWNLOADER_BACKENDS__HTTP: '{"timeout":3,"signing_secret":"of the object"}' }
    const child = { DOWNLOADER_BACKENDS__HTTP__SIGNING_SECRET: 'its own' }
    for (const env of [
      { ...json, ...child },
      { ...child, ...json },
      { ...child, DOWNLOADER_BACKENDS__http: json.DOWNLOADER_BACKENDS__HTTP },
    ]) {
      assert.deepEqual(load(minimal, env).config.backends.http, { timeout: 3, signing_secret: 'its own' })
    }
    const wrong = { DOWNLOADER_BACKENDS__HTTP: '{"timeout":3', ...child }
    assertWrong(minimal, /DOWNLOADER_BACKENDS__HTTP: backends\.http: must be a JSON object/, wrong)
    assertWrong(minimal, /DOWNLOADER_BACKENDS__HTTP: backends\.http\.timeout/, {
      DOWNLOADER_BACKENDS__HTTP: '{"timeout":0}',
    })
  })

  it('names the variable of a wrong value, and warns of an unknown key by its variable', () => {
    assertWrong(minimal, /DOWNLOADER_API__PORT: api\.port/, { DOWNLOADER_API__PORT: 'x' })
    const { warnings } = load(minimal, { DOWNLOADER_API__PRT: '1' })
    assert.match(warnings.join(), /DOWNLOADER_API__PRT: api\.prt/)
  })

  it('ignores other DOWNLOADER_ variables', () => {
    const { warnings } = load(minimal, {
      DOWNLOADER_BIN: 'x',
      DOWNLOADER_FOO__BAR: 'x',
      DOWNLOADER_: '',
      DOWNLOADER___: '',
    })
    assert.deepEqual(warnings, [])
  })

  it('warns of storage_dir as the root, which is deprecated', () => {
    const { warnings } = load({ ...minimal, processor: { storage_dir: '/tmp/x' } })
    assert.match(warnings.join(), /storage_dir.*deprecated/)
  })

  it('lets fallbacks stand only where neither file nor environment has the section', () => {
    const fallbacks = { redis: { addr: 'fallback:1' }, backends: { http: {} } }
    assert.equal(loadConfig(undefined, {}, fallbacks).config.redis.addr, 'fallback:1')
    assert.equal(loadConfig(file(minimal), {}, fallbacks).config.redis.addr, 'localhost:6379')
    const env = { DOWNLOADER_REDIS__ADDR: 'env:1' }
    assert.equal(loadConfig(undefined, env, fallbacks).config.redis.addr, 'env:1')
  })
})
