import { parseArgs } from 'node:util'
import { ApiProblem, ApiUnreachable, downloader } from '#client'
import { ConfigError, type Loaded } from '../config/load.ts'
import { localUrl } from '../local-url.ts'
import { type Command, CommandError, type Context, commonOptions, shortly, UsageError } from './command.ts'

const STOP_MS = 1000

export interface Surroundings {
  env: NodeJS.ProcessEnv
  /** The configuration of this machine, from `-c FILE` or where it is by default. @throws {ConfigError} */
  load(file: string | undefined): Loaded
}

/** Runs one command; resolves to the exit code: 0, 1 when something went wrong, 2 for a wrong command line. */
export async function runCommand(name: string, command: Command, argv: string[], around: Surroundings) {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      stop.abort()
      setTimeout(() => process.exit(130), STOP_MS).unref() // what reads its input does not hear of it
    })
  }
  process.stderr.on('error', () => process.exit(1)) // nobody reads any more
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1)) // `| head`
  const note = (line: string) => void process.stderr.write(`${line}\n`)
  try {
    const { values, positionals } = parsed(command, argv)
    if (values.help) {
      process.stdout.write(command.help)
      return 0
    }
    const load = () => around.load(values.config as string | undefined)
    const url = apiUrl((values.api as string | undefined) ?? around.env.DOWNLOADER_API, load)
    const token = around.env.DOWNLOADER_TOKEN
    const context: Context = {
      client: lazily(() => downloader({ url: url(), token })),
      json: values.json === true,
      print: (line) => void process.stdout.write(`${line}\n`),
      note,
      input: process.stdin,
      terminal: process.stderr.isTTY ? process.stderr : undefined,
      signal: stop.signal,
      config: load,
    }
    return (await command.run(values as never, positionals, context)) ? 0 : 1
  } catch (error) {
    if (stop.signal.aborted) return 130
    if (error instanceof UsageError) note(`downloader ${name}: ${error.message}\n\n${command.help.trimEnd()}`)
    else note(`downloader: ${explained(error)}`)
    return error instanceof UsageError ? 2 : 1
  }
}

function parsed(command: Command, args: string[]) {
  try {
    return parseArgs({ args, options: { ...commonOptions, ...command.options }, allowPositionals: true })
  } catch (error) {
    throw new UsageError(shortly(error as Error))
  }
}

/** Where the API is: as told, else where the configuration of this machine lets it listen. */
function apiUrl(told: string | undefined, load: Context['config']): () => string {
  return () => {
    if (told !== undefined) {
      if (/^https?:\/\//.test(told) && URL.canParse(told)) return told
      throw new UsageError(`--api: ${told} is no http or https URL`)
    }
    const { host, port } = load().config.api
    return localUrl(host, port)
  }
}

/** Made when it is first used: `config check` needs no API. */
function lazily<T extends object>(make: () => T): T {
  let made: T | undefined
  return new Proxy({} as T, {
    get: (_, name) => {
      made ??= make()
      return Reflect.get(made, name)
    },
  })
}

/** What an operator should do about it stands beside what happened. */
function explained(error: unknown): string {
  if (error instanceof ApiUnreachable) {
    return `${error.message}\nIs the API running there? --api URL names another one; its default comes from the configuration.`
  }
  if (error instanceof ApiProblem && error.status === 401) {
    return 'the API wants a token (401): put one of its api.tokens into DOWNLOADER_TOKEN'
  }
  if (error instanceof ApiProblem) return error.message
  if (error instanceof CommandError || error instanceof ConfigError) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
