import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { mainFile } from './service.ts'

/** One container as a manifest describes it; paths are those of the image. */
export interface ContainerSpec {
  /** What the container runs, with its arguments. */
  command: string[]
  env: NodeJS.ProcessEnv
  /** Files that are mounted, by their paths. */
  files?: Record<string, string>
}

export interface Container extends AsyncDisposable {
  child: ChildProcess
  /** Sends SIGTERM, as whoever runs containers does to the first process; its exit code, or the signal's name. */
  stop(): Promise<number | NodeJS.Signals>
}

const entrypoint = path.resolve(import.meta.dirname, '../../entrypoint.sh')

/** Runs what a container would, on this machine: the paths of the image lie in a folder of its own, which goes with it. */
export async function runContainer({ command, env, files = {} }: ContainerSpec): Promise<Container> {
  const dir = await mkdtemp(path.join(tmpdir(), 'container-'))
  const here = (text: string) =>
    text.replaceAll('/srv/entrypoint.sh', entrypoint).replace(/\/(srv|etc)\/(?=data|files|downloader)/g, `${dir}/$1/`)
  const program = here('/srv/downloader')
  await mkdir(here('/srv/data'), { recursive: true })
  await writeFile(program, `#!/bin/sh\nexec ${process.execPath} ${mainFile} "$@"\n`, { mode: 0o755 })
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(here(name)), { recursive: true })
    await writeFile(here(name), here(content))
  }
  const given = Object.entries(env).map(([name, value]) => [name, here(value ?? '')])
  const [file = '', ...args] = command.map(here)
  const child = spawn(file, args, {
    env: { PATH: process.env.PATH, DOWNLOADER_BIN: program, ...Object.fromEntries(given) },
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true, // a group of its own, which ends as a whole
  })
  const ended = once(child, 'exit').then(([code, signal]) => code ?? signal)
  const kill = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // it has ended, with all that it started
    }
  }
  process.once('exit', kill)
  return {
    child,
    async stop() {
      child.kill('SIGTERM')
      return ended
    },
    async [Symbol.asyncDispose]() {
      kill()
      await ended
      process.off('exit', kill)
      await rm(dir, { recursive: true, force: true })
    },
  }
}
