import { parseArgs } from 'node:util'
import type { Config } from './config/schema.ts'
import { withDeadline } from './deadline.ts'
import { localUrl } from './local-url.ts'

const LONGEST_MS = 2500

/** The roles that may run, and the ports that they serve. */
export interface Container {
  /** Of its first process, as `/proc/1/cmdline` has it. */
  commandLine: readonly string[]
  env: NodeJS.ProcessEnv
  /** @throws {ConfigError} */
  load(file: string): Config
}

/**
 * Where the container says how it is: what it runs is read from the command line of its first process. Undefined where
 * nothing listens: a worker without a `metrics_port` that cannot go on ends, and its container with it.
 */
export function healthUrl({ commandLine, env, load }: Container): string | undefined {
  if (commandLine.at(-1)?.endsWith('/entrypoint.sh')) return `${localUrl(env.HOST ?? '', Number(env.PORT || 8000))}/hb`
  const begin = commandLine.findIndex((arg) => ['start', 'api', 'processor', 'notifier'].includes(arg))
  const role = commandLine[begin]
  if (role === undefined) return undefined
  const { values } = parseArgs({
    args: commandLine.slice(begin + 1),
    options: {
      config: { type: 'string', short: 'c' },
      host: { type: 'string' },
      port: { type: 'string', short: 'p' },
    },
    strict: false,
  })
  const config = load(String(values.config ?? 'config.json'))
  if (role === 'processor' || role === 'notifier') {
    const { metrics_host, metrics_port } = config[role]
    return metrics_port === 0 ? undefined : `${localUrl(metrics_host, metrics_port)}/livez`
  }
  return `${localUrl(String(values.host ?? config.api.host), Number(values.port ?? config.api.port))}/hb`
}

/** Whether `url` answers with success, soon. */
export async function answers(url: string): Promise<boolean> {
  return withDeadline(LONGEST_MS, new AbortController().signal, async (signal) => {
    const response = await fetch(url, { signal })
    await response.body?.cancel()
    return response.ok
  }).catch(() => false)
}
