#!/usr/bin/env node
// The command line: reads argv, the environment and the configuration, builds the parts, starts and stops them.
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { shortly, UsageError } from './cli/command.ts'
import { COMMANDS_HELP, commandOf } from './cli/commands.ts'
import { ConfigError, type Loaded, loadConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Log, ProcessLog } from './log.ts'
import { addressGuard, type Guards } from './net/address-guard.ts'
import { RedisConfig } from './queue/redis-config.ts'
import type { Tracer } from './tracing/tracer.ts'

const HELP = `downloader: downloads what other services ask for

  downloader start [--host H] [-p, --port P] [-c FILE]
                                                    all three in one process; without a configuration it runs a
                                                    private Redis and keeps everything in data/
  downloader start --demo                           shows four whole jobs, and ends
  downloader api [--host H] [-p, --port P] [-c FILE]
                                                    the HTTP API (127.0.0.1:8000, config.json)
  downloader processor -c FILE                      a worker that downloads
  downloader notifier -c FILE                       a worker that calls back
  downloader check [--repair] [-c FILE]             counts every job anew while the service works, and tells what is wrong;
                                                    exits with 1 when something is
  downloader import --from redis://HOST:PORT/DB [--stopped] [--dry-run] [-c FILE]
                                                    moves the jobs of the Go service over, see docs/migrating.md; exits
                                                    with 1 when one was refused
  downloader explain-url URL [--callback] [-c FILE] tells whether a download from URL (or a callback to it) would be made,
                                                    and why not; exits with 1 when it would not
  downloader health                                 whether what a container runs answers: for its health check
  downloader version

${COMMANDS_HELP}
  -c, --config FILE    the configuration, see config.json.sample; every value may also come from the environment as
                       DOWNLOADER_SECTION__KEY, such as DOWNLOADER_REDIS__URL
  -h, --help           this text
`

const options = {
  config: { type: 'string', short: 'c' },
  host: { type: 'string' },
  port: { type: 'string', short: 'p' },
  demo: { type: 'boolean' },
  repair: { type: 'boolean' },
  from: { type: 'string' },
  stopped: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  callback: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const

/** What each command takes besides -c and --help: a flag that changes nothing would only seem to. */
const flagsOf: Record<string, readonly string[]> = {
  start: ['host', 'port', 'demo'],
  api: ['host', 'port'],
  check: ['repair'],
  import: ['from', 'stopped', 'dry-run'],
  'explain-url': ['callback'],
}

type Flags = { [name in keyof typeof options]?: string | boolean | undefined }

async function main(argv: string[]): Promise<void> {
  const [name = '', ...rest] = argv
  const read = commandOf(name)
  if (read) {
    const { runCommand } = await import('./cli/run.ts')
    process.exitCode = await runCommand(name, await read(), rest, { env: process.env, load: loadLocal })
    return
  }
  const { flags, command, argument } = parse(argv)
  if (flags.help || command === 'help') return void process.stdout.write(HELP)
  switch (command) {
    case 'version':
      return void process.stdout.write(`${version()}\n`)
    case 'api':
      return untilStopped('api', (log, stop) => api(flags, log, stop))
    case 'processor':
      return untilStopped('processor', async (log, stop) => processor(await load(flags, log, stop), log, stop))
    case 'notifier':
      return untilStopped('notifier', async (log, stop) => notifier(await load(flags, log, stop), log, stop))
    case 'start':
      if (flags.demo) return untilStopped('demo', startDemo, 'error')
      return untilStopped('downloader', (log, stop) => start(flags, log, stop))
    case 'check':
      return check(flags)
    case 'import':
      return untilStopped('import', (log, stop) => importJobs(flags, log, stop))
    case 'explain-url':
      return explainUrl(flags, argument)
    case 'health':
      return health()
    case undefined:
      throw new UsageError('a command is missing')
    default:
      throw new UsageError(`there is no command ${command}`)
  }
}

interface Arguments {
  flags: Flags
  command: string | undefined
  /** What the command is about; only `explain-url` takes one. */
  argument: string | undefined
}

function parse(argv: string[]): Arguments {
  try {
    const { values, positionals } = parseArgs({ args: argv, options, allowPositionals: true })
    const [command, ...rest] = positionals
    const extra = rest[command === 'explain-url' ? 1 : 0]
    if (extra !== undefined) throw new Error(`${extra} is one argument too many`)
    const known = ['config', 'help', ...(flagsOf[command ?? ''] ?? [])]
    const idle = Object.keys(values).find((flag) => !known.includes(flag))
    if (command !== undefined && idle !== undefined) throw new Error(`${command} takes no --${idle}`)
    const beside = values.demo && Object.keys(values).find((flag) => flag !== 'demo' && flag !== 'help')
    if (beside) throw new Error(`start --demo takes no --${beside}`)
    return { flags: values, command, argument: rest[0] }
  } catch (error) {
    throw new UsageError(shortly(error as Error))
  }
}

function version(): string {
  const file = new URL('../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** Runs a command until it ends by itself, or by SIGTERM or SIGINT. */
async function untilStopped(
  role: string,
  command: (log: ProcessLog, stop: AbortSignal) => Promise<void>,
  level = process.env.LOG_LEVEL || 'info',
): Promise<void> {
  const { newLog } = await import('./log.ts')
  const log = newLog(role, level)
  // SIGUSR1 belongs to Node's debugger.
  process.on('SIGUSR2', () => log.toggleDebug())
  const stop = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'stopping')
      stop.abort()
    })
  }
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      log.fatal({ err: error }, 'a bug: this process cannot go on')
      process.exit(1)
    })
  }
  await command(log, stop.signal)
}

async function load(flags: Flags, log: ProcessLog, stop: AbortSignal): Promise<Config> {
  const config = announce(loadConfig(String(flags.config ?? 'config.json'), process.env), log)
  await examine(config, log, stop)
  return config
}

/** Warns, as soon as Redis is there, if it does not keep what it is given. */
async function examine({ redis }: Config, log: Log, stop: AbortSignal): Promise<void> {
  const { examineRedis } = await import('./queue/examine.ts')
  void examineRedis(redis, log, stop)
}

/** The configuration of this machine, for commands that can do without any. */
const loadLocal = (file: string | undefined): Loaded =>
  loadConfig(configFile({ config: file }), process.env, fallbacks(path.resolve('data')))

function announce({ config, warnings }: Loaded, log: ProcessLog): Config {
  if (config.log.level && !process.env.LOG_LEVEL) log.setLevel(config.log.level)
  for (const warning of warnings) log.warn(warning)
  return config
}

async function api(flags: Flags, log: ProcessLog, stop: AbortSignal): Promise<void> {
  const config = await load(flags, log, stop)
  listenAs(flags, config)
  await serveApi(config, log, stop)
}

/** `--host` and `--port` win over the configuration. @throws {UsageError} */
function listenAs({ host, port }: Flags, { api }: Config): void {
  if (host) api.host = String(host)
  if (port === undefined) return
  if (!/^\d{1,5}$/.test(String(port)) || Number(port) > 65_535) throw new UsageError(`--port: ${port} is no port`)
  api.port = Number(port)
}

async function serveApi(
  config: Config,
  log: Log,
  stop: AbortSignal,
  onListening = (_url: string) => {},
): Promise<void> {
  const { serve } = await import('./api/serve.ts')
  const { redis, api, backends, processor, notifier } = config
  const graceMs = processor.shutdown_grace_ms
  const horizons = {
    silentMs: Math.max(MIN_SILENT_MS, processor.lease_ms, notifier.lease_ms),
    downloadRetries: processor.max_retries,
    deliveryRetries: notifier.max_retries,
  }
  const downloadUrl = downloadUrlOf(config)
  const given = { redis, api, backends: typesOf(backends), horizons, downloadUrl, version: version(), graceMs }
  await tracedBy(config.tracing, 'api', log, (tracer) =>
    serve({ ...given, guards: guardsOf(config), tracer, log, onListening }, stop),
  )
}

/** A worker that has nothing to do calls more often than that. */
const MIN_SILENT_MS = 10_000

const downloadUrlOf = ({ processor, notifier }: Config) => processor.download_url || notifier.download_url || ''

const guardsOf = ({ processor, notifier }: Config): Guards => ({
  downloads: addressGuard('downloads', processor.allow_networks, processor.allow_ports),
  callbacks: addressGuard('callbacks', notifier.allow_networks),
})

const typesOf = (backends: Config['backends']) => (['http', 'kafka', 'sqs'] as const).filter((type) => backends[type])

async function processor({ redis, processor, log: said, tracing }: Config, log: Log, stop: AbortSignal): Promise<void> {
  if (!processor.filestorage && !processor.storage_dir) throw new ConfigError('processor.filestorage: is required')
  const { runProcessor } = await import('./processor/start.ts')
  await tracedBy(tracing, 'processor', log, (tracer) =>
    runProcessor({ redis, processor, version: version(), urlQueries: said.url_queries, tracer, log }, stop),
  )
}

async function notifier(config: Config, log: Log, stop: AbortSignal): Promise<void> {
  const { redis, notifier, backends, tracing } = config
  if (typesOf(backends).length === 0) {
    throw new ConfigError('backends: no backend is given: a notifier needs at least one of http, kafka, sqs')
  }
  const downloadUrl = downloadUrlOf(config)
  if (!downloadUrl) log.warn('processor.download_url has no value: callbacks carry an empty download_url')
  const { runNotifier } = await import('./notifier/start.ts')
  await tracedBy(tracing, 'notifier', log, (tracer) =>
    runNotifier({ redis, notifier, backends, downloadUrl, version: version(), tracer, log }, stop),
  )
}

/** Runs a part with a tracer, where tracing is on; what it loads is loaded only then. */
async function tracedBy(
  tracing: Config['tracing'],
  part: string,
  log: Log,
  run: (tracer: Tracer | undefined) => Promise<void>,
): Promise<void> {
  if (!tracing) return run(undefined)
  const { openTracer } = await import('./tracing/open-tracer.ts')
  const tracer = openTracer(tracing, `downloader-${part}`, version(), log)
  try {
    await run(tracer)
  } finally {
    await tracer.close()
  }
}

/** `check`: exits with 1 when something is wrong that was not mended. */
async function check(flags: Flags): Promise<void> {
  const { checking } = await import('./checking.ts')
  const { config } = loadConfig(configFile(flags), process.env, fallbacks(path.resolve('data')))
  const { newLog } = await import('./log.ts')
  const log = newLog('check', process.env.LOG_LEVEL || 'warn')
  const print = (text: string) => process.stdout.write(`${text}\n`)
  if (!(await checking(config.redis, flags.repair === true, print, log))) process.exitCode = 1
}

/** `explain-url`: exits with 1 when no connection would be made. */
async function explainUrl(flags: Flags, url: string | undefined): Promise<void> {
  if (url === undefined) throw new UsageError('explain-url: the URL is missing')
  const { explaining } = await import('./explaining.ts')
  const { config } = loadConfig(configFile(flags), process.env, fallbacks(path.resolve('data')))
  const guard = guardsOf(config)[flags.callback ? 'callbacks' : 'downloads']
  const print = (text: string) => process.stdout.write(`${text}\n`)
  if (!(await explaining(url, guard, config.processor.connect_timeout_ms, print))) process.exitCode = 1
}

/** `health`: exits with 1 when what the container runs does not answer. */
async function health(): Promise<void> {
  const { answers, healthUrl } = await import('./health.ts')
  const file = '/proc/1/cmdline'
  if (!existsSync(file)) throw new UsageError('health: is for containers of Linux')
  const commandLine = readFileSync(file, 'utf8').split('\0').filter(Boolean)
  const url = healthUrl({ commandLine, env: process.env, load: (file) => loadConfig(file, process.env).config })
  if (url !== undefined && !(await answers(url))) process.exitCode = 1
}

/** `import`: exits with 1 when a job was refused, or the import was stopped. */
async function importJobs(flags: Flags, log: ProcessLog, stop: AbortSignal): Promise<void> {
  const from = RedisConfig.safeParse({ url: flags.from })
  if (!from.success) throw new UsageError('--from: the Redis of the Go service is required, as redis://HOST:PORT/DB')
  const { redis, processor, backends } = await load(flags, log, stop)
  const { runImport } = await import('./import/import.ts')
  const { storageFor } = await import('./storage/storage-for.ts')
  const { filestorage, storage_dir: rootdir = '' } = processor
  const storage = storageFor(filestorage ?? { type: 'filesystem', rootdir })
  const options = {
    from: from.data,
    redis,
    backends: typesOf(backends),
    storage: storage.name,
    dryRun: flags['dry-run'] === true,
    stopped: flags.stopped === true,
    log,
  }
  const print = (text: string) => process.stdout.write(`${text}\n`)
  const clean = await runImport(options, print, stop).catch((error: unknown) => {
    if (!stop.aborted) throw error
    log.warn('stopped early: the next import goes on from here')
  })
  await storage.close()
  if (!clean) process.exitCode = 1
}

/** API, processor and notifier in one process: when one of them ends, the others are stopped too. */
async function all(config: Config, log: Log, stop: AbortSignal, onListening = (_url: string) => {}): Promise<void> {
  const together = new AbortController()
  const end = () => together.abort()
  stop.addEventListener('abort', end, { once: true })
  if (stop.aborted) end()
  const parts = [
    processor(config, log, together.signal),
    notifier(config, log, together.signal),
    serveApi(config, log, together.signal, onListening),
  ]
  const results = await Promise.allSettled(parts.map((part) => part.finally(end)))
  stop.removeEventListener('abort', end)
  const failure = results.find((result) => result.status === 'rejected')
  if (failure) throw failure.reason
}

/** `start`: what the configuration does not say is at hand in `data/`. */
async function start(flags: Flags, log: ProcessLog, stop: AbortSignal): Promise<void> {
  const data = path.resolve('data')
  const { config, stopRedis } = await embedded(configFile(flags), data, process.env, log, flags)
  await examine(config, log, stop)
  try {
    await all(config, log, stop, (url) => process.stdout.write(banner(url, config, stopRedis ? data : undefined)))
  } finally {
    await stopRedis?.()
  }
}

/** `start --demo`: the same, on its own data, with an origin and a receiver on this machine. */
async function startDemo(log: ProcessLog, stop: AbortSignal): Promise<void> {
  const data = path.resolve('data', 'demo')
  const overrides = {
    DOWNLOADER_API__PORT: '0',
    DOWNLOADER_PROCESSOR__ALLOW_NETWORKS: '["127.0.0.0/8"]',
    DOWNLOADER_PROCESSOR__DOWNLOAD_URL: `file://${path.join(data, 'files')}`,
  }
  const { config, stopRedis } = await embedded(undefined, data, overrides, log)
  try {
    const { demo } = await import('./demo.ts')
    await demo((end, onListening) => all(config, log, end, onListening), stop)
  } finally {
    await stopRedis?.()
  }
}

/**
 * Completes a configuration for running without any: a private Redis, HTTP callbacks, files under `data`.
 *
 * @returns `stopRedis` when a private Redis runs, which the caller stops
 */
async function embedded(
  file: string | undefined,
  data: string,
  env: NodeJS.ProcessEnv,
  log: ProcessLog,
  flags: Flags = {},
) {
  const own = fallbacks(data)
  const loaded = loadConfig(file, env, own)
  const config = announce(loaded, log)
  listenAs(flags, config)
  if (!config.processor.filestorage && !config.processor.storage_dir) {
    config.processor.filestorage = { type: 'filesystem', rootdir: path.join(data, 'files') }
    config.processor.storage_dir = path.join(data, 'tmp')
  }
  if (config.redis.url !== own.redis.url) return { config, stopRedis: undefined }
  const { startPrivateRedis } = await import('./private-redis.ts')
  const redis = await startPrivateRedis(data, log)
  config.redis.url = `unix://${redis.socket.split('/').map(encodeURIComponent).join('/')}`
  return { config, stopRedis: () => redis.stop() }
}

/** The configuration file of a command that can do without. */
function configFile(flags: Flags): string | undefined {
  if (flags.config) return String(flags.config)
  return existsSync('config.json') ? 'config.json' : undefined
}

/** What holds where a configuration says nothing: the private Redis of `start`, callbacks over HTTP. */
const fallbacks = (data: string) => ({
  redis: { url: `unix://${path.join(data, 'redis', 'redis.sock')}` },
  backends: { http: {} },
})

function banner(url: string, { processor }: Config, data: string | undefined): string {
  const { filestorage, storage_dir } = processor
  const files = filestorage?.type === 's3' ? `s3://${filestorage.bucket}` : (filestorage?.rootdir ?? storage_dir)
  return `
  Downloader is ready.

    dashboard  ${url}/
    files      ${files}
    queue      ${data ? `a private Redis in ${path.join(data, 'redis')}` : 'the Redis of the configuration'}

  Try it:

    curl -d '{"aggr_id":"first","aggr_limit":4,"url":"https://example.com/","callback_type":"http","callback_dst":"http://127.0.0.1:9000/"}' ${url}/download

  Ctrl-C stops it; what is queued stays queued.

`
}

/** What is told of a failure: a stack only of what nobody thought about. */
function explained(error: unknown): string {
  if (!(error instanceof Error)) return `downloader: ${error}\n`
  const { code, syscall } = error as NodeJS.ErrnoException
  if (error instanceof UsageError) {
    const more = process.argv.length > 2 ? '`downloader --help` says what there is.' : `\n${HELP.trimEnd()}`
    return `downloader: ${error.message}\n${more}\n`
  }
  if (syscall === 'listen' && code === 'EADDRINUSE') {
    return `downloader: ${error.message}\nSomething else listens there: choose another port (--port, api.port, metrics_port).\n`
  }
  const isThoughtOf = ['ConfigError', 'ImportError', 'RedisUnavailable'].includes(error.name) || syscall === 'listen'
  return `downloader: ${isThoughtOf ? error.message : (error.stack ?? error.message)}\n`
}

main(process.argv.slice(2)).then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(explained(error))
    process.exit(error instanceof UsageError ? 2 : 1)
  },
)
