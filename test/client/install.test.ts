import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { startOrigin } from '../support/http-origin.ts'
import { startService } from '../support/service.ts'

const root = path.resolve(import.meta.dirname, '../..')
const runFile = promisify(execFile)

describe('the package of the client', () => {
  let dir: string
  before(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), 'downloader-client-'))
    await cp(path.join(root, 'client'), path.join(dir, 'client'), {
      recursive: true,
      filter: (file) => path.basename(file) !== 'dist',
    })
    await cp(path.join(root, 'tsconfig.json'), path.join(dir, 'tsconfig.json'))
    await symlink(path.join(root, 'node_modules'), path.join(dir, 'node_modules'))
    await mkdir(path.join(dir, 'project'))
  })
  after(() => rm(dir, { recursive: true, force: true }))

  /** Runs a command in a folder of `dir`, where npm reaches no registry; resolves to its output. */
  async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
    const npm = { npm_config_offline: 'true', npm_config_audit: 'false', npm_config_cache: path.join(dir, 'npm') }
    const env = { PATH: process.env.PATH, HOME: dir, ...npm }
    const running = runFile(command, args, { cwd: path.join(dir, cwd), env, timeout: 15_000 })
    const { stdout } = await running.catch((error: Error & { stdout: string }) => {
      throw new Error(`${error.message}\n${error.stdout}`) // where a compiler complains
    })
    return stdout
  }

  it('is built and installed by the commands of its README, and does what is shown there', async () => {
    await using origin = await startOrigin()
    await using service = await startService({ roles: ['start'] })
    await run('client', 'npm', 'run', 'build')
    await writeFile(path.join(dir, 'project', 'package.json'), '{ "type": "module" }')
    await run('project', 'npm', 'install', '--install-links', path.join(dir, 'client'))

    const readme = await readFile(path.join(dir, 'client', 'README.md'), 'utf8')
    const [, shown = ''] = /^```ts\n(.*?)^```$/ms.exec(readme) ?? []
    const example = shown
      .replace('http://127.0.0.1:8000', service.url)
      .replace('https://example.com/a.jpg', origin.on('/a.jpg', 'hello'))
    await writeFile(path.join(dir, 'project', 'example.ts'), example)
    const tsc = path.join(dir, 'node_modules', '.bin', 'tsc')
    await run(
      'project',
      tsc,
      '--ignoreConfig',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2023',
      '--types',
      'node',
      'example.ts',
    )
    assert.match(await run('project', process.execPath, 'example.js'), /^http:\/\/files\.test\/base\/.{3}\/.{14}\n$/)
  }).timeout(60_000)
})
