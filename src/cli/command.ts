import type { Client } from '#client'
import type { Loaded } from '../config/load.ts'

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What `parseArgs` complains of, without its advice on how to write such an argument. */
export const shortly = ({ message }: Error): string => message.replace(/\. To specify a positional.*$/s, '')

/** The command cannot do what it was asked for; the message is for the operator, and says all there is to say. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

type Options = Record<string, { type: 'string' | 'boolean'; short?: string }>
type Flags<O extends Options> = { [name in keyof O]?: O[name]['type'] extends 'boolean' ? boolean : string }

/** What every command takes besides its own. */
export const commonOptions = {
  api: { type: 'string' },
  config: { type: 'string', short: 'c' },
  json: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies Options

/** What a command works with; only `main.ts` and `run.ts` know where it comes from. */
export interface Context {
  client: Client
  /** Whether results are wanted as JSON. */
  json: boolean
  /** A line on standard output. */
  print(line: string): void
  /** A line on standard error: for people, not part of the result. */
  note(line: string): void
  input: NodeJS.ReadStream
  /** Where progress is drawn; undefined when nobody would see it. */
  terminal: NodeJS.WriteStream | undefined
  /** Aborts at SIGINT and SIGTERM. */
  signal: AbortSignal
  /** The configuration of this machine. @throws {ConfigError} */
  config(): Loaded
}

export interface Command<O extends Options = Options> {
  /** All of it, as `--help` shows it; the first line is the usage. */
  help: string
  options: O
  /** Resolves to whether all went well: the exit code. */
  run(flags: Flags<O>, args: string[], context: Context): Promise<boolean>
}

/** Lets TypeScript see the flags of a command. */
export const command = <const O extends Options>(given: Command<O>): Command<O> => given

/** The only argument. @throws {UsageError} */
export function oneOf(args: string[], what: string): string {
  const [first, second] = args
  if (first === undefined) throw new UsageError(`${what} is missing`)
  if (second !== undefined) throw new UsageError(`${second} is one argument too many`)
  return first
}

/** @throws {UsageError} */
export function noneOf(args: string[]): void {
  if (args[0] !== undefined) throw new UsageError(`${args[0]} is one argument too many`)
}

/** @throws {UsageError} */
export function integer(flag: string, text: string | undefined, least = 1): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`${flag}: ${text} is no integer of at least ${least}`)
  }
  return value
}
