import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { eventually } from './eventually.ts'
import { freePort } from './redis.ts'

/** Where `./setup --test` puts them, unless they are installed. */
const env = { PATH: `${process.env.PATH}:${path.resolve(import.meta.dirname, '../../.tools/usr/bin')}` }

/** Runs promtool; rejects with all that it said unless it is content. */
export async function promtool(...args: string[]): Promise<void> {
  await promisify(execFile)('promtool', args, { env }).catch(({ message, stdout }) => {
    throw new Error(`${message}\n${stdout}`)
  })
}

export interface Prometheus extends AsyncDisposable {
  /** Answers of its HTTP API: the `data` of `/api/v1/<path>`. */
  ask<Data>(path: string): Promise<Data>
  /** What an expression comes to now: its labels, and its value as text. */
  query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>
}

/** A real server on 127.0.0.1; `config` is YAML. */
export async function startPrometheus(config: string): Promise<Prometheus> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'prometheus-'))
  const file = path.join(dir, 'prometheus.yml')
  await writeFile(file, config)
  await promtool('check', 'config', file)
  const address = `127.0.0.1:${await freePort()}`
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${dir}/data`, `--web.listen-address=${address}`]
  const child = spawn('prometheus', [...args, '--log.level=warn'], {
    env,
    cwd: dir,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (data) => {
    said += data
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const ended = once(child, 'close')
  const prometheus: Prometheus = {
    async ask(path) {
      const response = await fetch(`http://${address}/api/v1/${path}`)
      const { status, data, error } = (await response.json()) as { status: string; data: never; error?: string }
      if (status !== 'success') throw new Error(`${path}: ${error}`)
      return data
    },
    async query(expr) {
      const answer = await prometheus.ask<{ result: never }>(`query?${new URLSearchParams({ query: expr })}`)
      return answer.result
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
      process.off('exit', kill)
      await rm(dir, { recursive: true, force: true })
    },
  }
  await eventually(() => prometheus.ask('status/buildinfo')).catch(async () => {
    await prometheus[Symbol.asyncDispose]()
    throw new Error(`Prometheus does not start: ${said}`)
  })
  return prometheus
}
