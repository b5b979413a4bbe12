import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startRedis } from '../support/redis.ts'

const root = path.join(import.meta.dirname, '..', '..')
const entrypoint = path.join(root, 'entrypoint.sh')

// Stands in for the program: notes what happens to it, and does what DO_<ROLE> says once it is up.
const STAND_IN = `#!/usr/bin/env bash
role=$1
trap 'echo "$role stopped" >>"$NOTES"; kill $!; exit "\${ON_STOP:-0}"' TERM
echo "$*" >>"$NOTES"
action=DO_$role
eval "\${!action:-:}"
sleep 60 &
wait
`

async function newContainer() {
  const dir = await mkdtemp(path.join(tmpdir(), 'entrypoint-'))
  const notes = path.join(dir, 'notes')
  const program = path.join(dir, 'downloader')
  await writeFile(notes, '')
  await writeFile(program, STAND_IN, { mode: 0o755 })
  const running = new Set<ChildProcess>()
  return {
    dir,
    notes: async () => (await readFile(notes, 'utf8')).split('\n').filter(Boolean),
    start(env: NodeJS.ProcessEnv = {}, ...args: string[]) {
      const child = spawn(entrypoint, args, {
        env: { PATH: process.env.PATH, NOTES: notes, DOWNLOADER_BIN: program, ...env },
        stdio: ['ignore', 'ignore', 'pipe'],
        detached: true, // a group of its own, which the end of the test can end as a whole
      })
      running.add(child)
      return child
    },
    async [Symbol.asyncDispose]() {
      for (const { pid } of running) {
        try {
          if (pid !== undefined) process.kill(-pid, 'SIGKILL')
        } catch {
          // it has ended, with all that it started
        }
      }
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `did not happen within 10 s: ${what}`)
    await delay(10)
  }
}

describe('entrypoint.sh', () => {
  it('runs the API on all addresses, a processor and a notifier', async () => {
    await using container = await newContainer()
    container.start()
    await until(async () => (await container.notes()).length === 3, 'all three are up')
    assert.deepEqual((await container.notes()).sort(), [
      'api -c /srv/config.json --host 0.0.0.0 --port 8000',
      'notifier -c /srv/config.json',
      'processor -c /srv/config.json',
    ])
  })

  it('takes the configuration and the address from the environment', async () => {
    await using container = await newContainer()
    container.start({ CONFIG: '/etc/other.json', HOST: '127.0.0.1', PORT: '3000' })
    await until(async () => (await container.notes()).length === 3, 'all three are up')
    assert.ok((await container.notes()).includes('api -c /etc/other.json --host 127.0.0.1 --port 3000'))
  })

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`stops all three at ${signal}, waits for them, and exits with 0`, async () => {
      await using container = await newContainer()
      const child = container.start()
      await until(async () => (await container.notes()).length === 3, 'all three are up')
      child.kill(signal)
      assert.deepEqual(await once(child, 'exit'), [0, null])
      const stopped = (await container.notes()).filter((note) => note.endsWith('stopped')).sort()
      assert.deepEqual(stopped, ['api stopped', 'notifier stopped', 'processor stopped'])
    })
  }

  it('exits with 0 when it is stopped before all three are up', async () => {
    await using container = await newContainer()
    const child = container.start({ DO_api: 'kill -TERM $PPID' })
    assert.deepEqual(await once(child, 'exit'), [0, null])
  })

  it('exits with the status of one that does not stop as it should', async () => {
    await using container = await newContainer()
    const child = container.start({ ON_STOP: '4' })
    await until(async () => (await container.notes()).length === 3, 'all three are up')
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [4, null])
  })

  for (const role of ['api', 'processor', 'notifier']) {
    it(`stops the others when the ${role} dies, and exits with its status`, async () => {
      await using container = await newContainer()
      const others = ['api', 'processor', 'notifier'].filter((other) => other !== role)
      const up = others.map((other) => `until grep -q '^${other} ' "$NOTES"; do sleep 0.01; done`).join('; ')
      const child = container.start({ [`DO_${role}`]: `${up}; exit 7` })
      assert.deepEqual(await once(child, 'exit'), [7, null])
      const stopped = (await container.notes()).filter((note) => note.endsWith('stopped')).sort()
      assert.deepEqual(stopped, others.map((other) => `${other} stopped`).sort())
    })
  }

  it('notices one that dies at once', async () => {
    await using container = await newContainer()
    for (let i = 0; i < 20; i++) {
      const child = container.start({ DO_api: 'exit 7' })
      assert.deepEqual(await once(child, 'exit'), [7, null])
    }
  })

  it('does not exit with 0 when one ends unasked', async () => {
    await using container = await newContainer()
    assert.deepEqual(await once(container.start({ DO_notifier: 'exit 0' }), 'exit'), [1, null])
  })

  it('becomes the program when there is a command', async () => {
    await using container = await newContainer()
    const child = container.start({ DO_processor: 'echo "pid $$" >>"$NOTES"; exit 5' }, 'processor', '-c', '/x.json')
    assert.deepEqual(await once(child, 'exit'), [5, null])
    assert.deepEqual(await container.notes(), ['processor -c /x.json', `pid ${child.pid}`])
  })

  it('runs the built service', async () => {
    await using redis = await startRedis()
    await using container = await newContainer()
    const config = path.join(container.dir, 'config.json')
    const filestorage = { type: 'filesystem', rootdir: path.join(container.dir, 'files') }
    const sections = {
      redis: { addr: redis.addr },
      processor: { filestorage, storage_dir: path.join(container.dir, 'tmp'), download_url: 'http://localhost/' },
      backends: { http: {} },
    }
    await writeFile(config, JSON.stringify(sections))
    const env = { CONFIG: config, HOST: '127.0.0.1', DOWNLOADER_BIN: path.join(root, 'dist', 'main.js') }
    const child = container.start({ ...env, PORT: '0' })
    let log = ''
    child.stderr?.on('data', (chunk) => {
      log += chunk
    })
    const url = () => /http:\/\/127\.0\.0\.1:\d+/.exec(log)?.[0]
    await until(async () => url() !== undefined, 'the API says where it listens')
    const status = async (route: string) =>
      (await fetch(`${url()}${route}`, { headers: { connection: 'close' } })).status
    assert.equal(await status('/hb'), 200)
    for (const worker of ['processor', 'notifier']) {
      await until(async () => (await status(`/stats/${worker}`)) === 200, `a ${worker} is alive`)
    }
    child.kill('SIGTERM')
    assert.deepEqual(await once(child, 'exit'), [0, null], log)
  })
})
