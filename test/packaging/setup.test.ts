import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'

const root = path.join(import.meta.dirname, '..', '..')

interface Outcome {
  code: number
  /** What was called, a line a call. */
  calls: string[]
  output: string
}

/**
 * A checkout on a machine of which nothing but PATH is real: the tools of every system, and programs that note how they
 * were called. `apt-get` and `brew` install commands named like the packages.
 */
async function newMachine({ user = 'root', system = 'Linux', node = process.versions.node } = {}) {
  const dir = await mkdtemp(path.join(tmpdir(), 'setup-'))
  const bin = path.join(dir, 'bin')
  const calls = path.join(dir, 'calls')
  await mkdir(path.join(dir, '.ci'), { recursive: true })
  await mkdir(bin)
  for (const file of ['setup', '.ci/run', 'package-lock.json'])
    await copyFile(path.join(root, file), path.join(dir, file))
  for (const tool of ['bash', 'cat', 'cksum', 'dirname', 'env', 'grep', 'mkdir', 'touch', 'chmod', 'rm']) {
    await symlink(await which(tool), path.join(bin, tool))
  }

  const program = (name: string, script: string) =>
    writeFile(path.join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  const noting = (name: string, script = '') => program(name, `echo "${name} $*" >>'${calls}'\n${script}`)
  const installs = `for name; do case $name in -*|install|update|download|prometheus|*=*) ;; *) printf '#!/bin/sh\\n' >'${bin}'/$name; chmod +x '${bin}'/$name;; esac; done`
  await program('id', `echo ${user === 'root' ? 0 : 1000}`)
  await program('uname', `echo ${system}`)
  await program('ldconfig', '')
  const pretend = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } })`
  await writeFile(path.join(dir, 'pretend.cjs'), pretend)
  await program('node', `exec '${process.execPath}' --require '${dir}/pretend.cjs' "$@"`)
  await noting('npm', 'if [ "$1" = ci ]; then rm -rf node_modules; mkdir node_modules; fi')
  await noting('dpkg-deb', 'mkdir -p usr/bin && : >usr/bin/promtool && chmod +x usr/bin/promtool')
  if (system === 'Linux') await noting('apt-get', installs)
  else await noting('brew', `if [ "$1" = --prefix ]; then echo /nowhere; exit; fi\n${installs}`)

  return {
    dir,
    noting,
    without: (name: string) => rm(path.join(bin, name)),
    async run(script: string, ...args: string[]): Promise<Outcome> {
      await writeFile(calls, '')
      const command = promisify(execFile)(path.join(dir, script), args, { env: { PATH: bin }, cwd: '/' })
      const { code = 0, stdout, stderr } = await command.catch((error) => error)
      const called = (await readFile(calls, 'utf8')).split('\n').filter(Boolean)
      return { code, calls: called, output: stdout + stderr }
    },
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  }
}

async function which(tool: string): Promise<string> {
  const { stdout } = await promisify(execFile)('/bin/sh', ['-c', `command -v ${tool}`])
  return stdout.trim()
}

const installed = ({ calls }: Outcome) =>
  calls
    .filter((call) => / install /.test(call))
    .flatMap((call) => call.replace(/.* install /, '').split(' '))
    .filter((word) => !word.startsWith('-'))

describe('./setup', () => {
  it('installs a Redis server and the packages on a fresh machine, and the second time only builds', async () => {
    await using machine = await newMachine()
    const first = await machine.run('setup')
    assert.equal(first.code, 0, first.output)
    assert.deepEqual(installed(first), ['redis-server'])
    assert.match(first.calls[0] ?? '', /^apt-get .*update/)
    assert.match(first.calls.at(-1) ?? '', /^npm ci --include=dev/)

    const second = await machine.run('setup')
    assert.equal(second.code, 0, second.output)
    assert.deepEqual(second.calls, ['npm run --silent build'])
  })

  it('installs the packages again when package-lock.json has changed', async () => {
    await using machine = await newMachine()
    await machine.run('setup')
    await writeFile(path.join(machine.dir, 'package-lock.json'), '{}')
    assert.match((await machine.run('setup')).calls.join(), /^npm ci/)
  })

  it('is content with Valkey', async () => {
    await using machine = await newMachine()
    await machine.noting('valkey-server')
    assert.deepEqual(installed(await machine.run('setup')), [])
  })

  it('adds what the tests need with --test', async () => {
    await using machine = await newMachine()
    const outcome = await machine.run('setup', '--test')
    assert.equal(outcome.code, 0, outcome.output)
    const wanted = [
      'redis-server',
      'kcat',
      'librdkafka1',
      'file',
      'openssl',
      'python3',
      'curl',
      'shellcheck',
      'chromium',
    ]
    assert.deepEqual(installed(outcome), wanted)
    // installed, it would be a server that listens
    assert.match(outcome.calls.join('\n'), /^apt-get download -qq prometheus\ndpkg-deb -x /m)

    await machine.noting('ldconfig', 'echo "librdkafka.so.1 (libc6,x86-64) => /usr/lib/librdkafka.so.1"')
    assert.deepEqual(installed(await machine.run('setup', '--test')), [])
  })

  it('asks sudo when it is not root, and says what it wanted when there is none', async () => {
    await using machine = await newMachine({ user: 'somebody' })
    const refused = await machine.run('setup')
    assert.equal(refused.code, 1)
    assert.match(refused.output, /needs root, and there is no sudo; run as root: apt-get install redis-server/)

    await machine.noting('sudo', 'exec "$@"')
    const outcome = await machine.run('setup')
    assert.equal(outcome.code, 0, outcome.output)
    assert.match(outcome.calls[0] ?? '', /^sudo env DEBIAN_FRONTEND=noninteractive apt-get/)
    assert.deepEqual(installed(outcome).slice(-1), ['redis-server'])
  })

  it('uses brew on macOS', async () => {
    await using machine = await newMachine({ system: 'Darwin' })
    const outcome = await machine.run('setup')
    assert.equal(outcome.code, 0, outcome.output)
    assert.deepEqual(installed(outcome), ['valkey'])
  })

  for (const node of ['18.20.4', '20.18.3']) {
    it(`says that Node.js ${node} is too old`, async () => {
      await using machine = await newMachine({ node })
      const outcome = await machine.run('setup')
      assert.equal(outcome.code, 1)
      assert.match(outcome.output, /too old: install 20\.19 or newer/)
      assert.deepEqual(outcome.calls, [])
    })
  }

  for (const node of ['20.19.0', '22.12.0', '24.0.1']) {
    it(`takes Node.js ${node}`, async () => {
      await using machine = await newMachine({ node })
      assert.equal((await machine.run('setup')).code, 0)
    })
  }

  it('says that Node.js is missing', async () => {
    await using machine = await newMachine()
    await machine.without('node')
    const outcome = await machine.run('setup')
    assert.equal(outcome.code, 1)
    assert.match(outcome.output, /Node\.js is missing/)
  })

  it('goes on with the package lists that are there when they cannot be brought up to date', async () => {
    await using machine = await newMachine()
    await machine.noting('apt-get', 'case " $* " in *" update "*) exit 100 ;; esac')
    const outcome = await machine.run('setup')
    assert.equal(outcome.code, 0, outcome.output)
    assert.deepEqual(installed(outcome), ['redis-server'])
  })

  it('fails with a sentence when packages cannot be installed', async () => {
    await using machine = await newMachine()
    await machine.noting('apt-get', 'exit 100')
    const apt = await machine.run('setup')
    assert.equal(apt.code, 1)
    assert.match(apt.output, /apt-get could not install: redis-server/)

    await machine.noting('redis-server')
    await machine.noting('npm', 'exit 1')
    const npm = await machine.run('setup')
    assert.equal(npm.code, 1)
    assert.match(npm.output, /npm ci failed/)

    await machine.without('apt-get')
    await machine.without('redis-server')
    const neither = await machine.run('setup')
    assert.equal(neither.code, 1)
    assert.match(neither.output, /neither apt-get nor brew.*redis-server/)
  })

  it('knows no other option', async () => {
    await using machine = await newMachine()
    const outcome = await machine.run('setup', '--tests')
    assert.equal(outcome.code, 1)
    assert.match(outcome.output, /no option --tests/)
  })
})

describe('.ci/run', () => {
  it('runs the linter, the type check and the tests after ./setup --test, and ends at the first failure', async () => {
    await using machine = await newMachine()
    const steps = ['npm run lint', 'npm run typecheck', 'npm test']
    const passed = await machine.run('.ci/run')
    assert.equal(passed.code, 0, passed.output)
    assert.ok(installed(passed).includes('kcat'))
    assert.deepEqual(passed.calls.slice(-3), steps)

    await machine.noting('npm', '[ "$*" != "run typecheck" ]')
    const failed = await machine.run('.ci/run')
    assert.equal(failed.code, 1)
    assert.deepEqual(failed.calls.slice(-2), steps.slice(0, 2))
  })
})

describe('the shell scripts', () => {
  it('are clean in the eyes of shellcheck', async () => {
    const scripts = ['setup', '.ci/run', 'entrypoint.sh'].map((file) => path.join(root, file))
    await promisify(execFile)('shellcheck', scripts)
  })
})
