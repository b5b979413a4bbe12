import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { loadConfig } from '../../src/config/load.ts'
import { answers, healthUrl } from '../../src/health.ts'
import { parseYaml } from '../support/yaml.ts'

const root = path.join(import.meta.dirname, '..', '..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')

/** `[instruction, rest]` of each line of the Dockerfile. */
const dockerfile = read('Dockerfile')
  .replace(/\\\n\s*/g, '')
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map((line) => /^([A-Z]+) (.*)$/.exec(line)?.slice(1) ?? assert.fail(line)) as [string, string][]
const last = (instruction: string) => dockerfile.findLast(([name]) => name === instruction)?.[1] ?? ''

const sample = () => loadConfig(path.join(root, 'config.json.sample'), {}).config

describe('the image', () => {
  it('is built from files that are there and that .dockerignore lets through', () => {
    const kept = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
    const sources = dockerfile
      .filter(([name, rest]) => name === 'COPY' && !rest.includes('--from='))
      .flatMap(([, rest]) => rest.split(' ').slice(0, -1))
    assert.ok(sources.length > 3)
    for (const source of sources) {
      assert.ok(existsSync(path.join(root, source)), source)
      assert.ok(kept.includes(`!${source}`), `.dockerignore: ${source}`)
    }
  })

  it('does not run as root, and starts entrypoint.sh', () => {
    assert.equal(last('USER'), 'node')
    assert.deepEqual(JSON.parse(last('ENTRYPOINT')), ['/srv/entrypoint.sh'])
    assert.ok(dockerfile.some(([name, rest]) => name === 'COPY' && rest === 'entrypoint.sh /srv/'))
  })

  it('has the command /srv/downloader, which needs no environment', async () => {
    const [, made = ''] = dockerfile.find(([name, rest]) => name === 'RUN' && rest.includes('>/srv/downloader')) ?? []
    const { stdout: wrapper } = await promisify(execFile)('/bin/sh', ['-c', made.replace(/ >.*/, '')])
    assert.equal(wrapper, '#!/bin/sh\nexec /usr/local/bin/node /opt/downloader/dist/main.js "$@"\n')
  })

  describe('is healthy', () => {
    const config = loadConfig(undefined, {
      DOWNLOADER_REDIS__ADDR: '127.0.0.1:1',
      DOWNLOADER_BACKENDS__HTTP: '{}',
      DOWNLOADER_API__PORT: '8100',
      DOWNLOADER_NOTIFIER__METRICS_PORT: '9102',
    }).config
    const ask = (commandLine: string[], env: NodeJS.ProcessEnv = {}) => {
      const asked: string[] = []
      const load = (file: string) => {
        asked.push(file)
        return config
      }
      return [healthUrl({ commandLine, env, load }), ...asked]
    }
    const main = ['/usr/local/bin/node', '/opt/downloader/dist/main.js']

    it('when the API answers, at the port that it was given', () => {
      const whole = ['bash', '/srv/entrypoint.sh']
      assert.deepEqual(ask(whole), ['http://127.0.0.1:8000/hb'])
      assert.deepEqual(ask(whole, { PORT: '81', HOST: '::1' }), ['http://[::1]:81/hb'])
      assert.deepEqual(ask([...main, 'api', '-c', '/c.json']), ['http://127.0.0.1:8100/hb', '/c.json'])
      assert.deepEqual(ask([...main, 'api', '--host', '0.0.0.0', '-p', '82']), [
        'http://127.0.0.1:82/hb',
        'config.json',
      ])
      assert.deepEqual(ask(['/sbin/docker-init', '--', ...main, 'start', '--port=83']), [
        'http://127.0.0.1:83/hb',
        'config.json',
      ])
    })

    it('when a worker answers where it has a port, and as long as it runs where it has none', () => {
      assert.deepEqual(ask([...main, 'notifier', '-c', 'n']), ['http://127.0.0.1:9102/livez', 'n'])
      assert.deepEqual(ask([...main, 'processor', '-c', 'p']), [undefined, 'p'])
      assert.deepEqual(ask([...main, 'import', '--from', 'redis://go']), [undefined])
    })

    it('while the answer is a 200', async () => {
      let status = 200
      const server = createServer((_request, response) => response.writeHead(status).end()).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hb`
      assert.equal(await answers(url), true)
      status = 503
      assert.equal(await answers(url), false)
      server.close()
      server.closeAllConnections()
      assert.equal(await answers(url), false)
    })

    it('by a command of the program', async () => {
      const command = JSON.parse(/CMD (.*)/.exec(last('HEALTHCHECK'))?.[1] ?? '') as string[]
      assert.deepEqual(command, ['/srv/downloader', 'health'])
      // the first process of this machine is none of ours
      const child = spawn(process.execPath, [path.join(root, 'dist', 'main.js'), 'health'], {
        env: {},
        stdio: 'inherit',
      })
      assert.deepEqual(await once(child, 'exit'), [0, null])
    })
  })

  it('has a default configuration that is valid and keeps its files in the volume', () => {
    const { config, warnings } = loadConfig(path.join(root, 'config.json.sample'), {})
    assert.deepEqual(warnings, [])
    assert.ok(dockerfile.some(([name, rest]) => name === 'COPY' && rest === 'config.json.sample /srv/config.json'))
    const workdir = last('WORKDIR')
    const { filestorage, storage_dir = '' } = config.processor
    assert.ok(filestorage?.type === 'filesystem')
    for (const folder of [filestorage.rootdir, storage_dir]) {
      assert.ok(path.posix.resolve(workdir, folder).startsWith(`${last('VOLUME')}/`), folder)
    }
  })
})

interface ComposeService {
  profiles?: string[]
  volumes?: string[]
}
interface Compose {
  services: Record<string, ComposeService> & {
    redis: ComposeService & { command: string }
    downloader: ComposeService & {
      depends_on: object
      environment: Record<string, string | null>
      stop_grace_period: string
    }
  }
  volumes: object
}

describe('docker-compose.yml', () => {
  const [compose] = parseYaml(read('docker-compose.yml')) as [Compose]
  const { redis, downloader, ...others } = compose.services

  it('needs nothing but Redis, which keeps what it has answered', () => {
    assert.deepEqual(downloader.depends_on, { redis: { condition: 'service_healthy' } })
    assert.match(redis.command, /--appendonly yes --appendfsync always .*--maxmemory-policy noeviction/)
    for (const [name, service] of Object.entries(others)) {
      assert.ok(service.profiles?.length, `${name} is not started unless asked for`)
    }
  })

  it('gives the service a valid configuration', () => {
    const given = Object.entries(downloader.environment).filter(([, value]) => value !== null)
    const { config, warnings } = loadConfig(
      path.join(root, 'config.json.sample'),
      Object.fromEntries(given) as NodeJS.ProcessEnv,
    )
    assert.deepEqual(warnings, [])
    assert.equal(config.redis.addr, 'redis:6379')
    assert.match(JSON.stringify(config.backends.kafka), /kafka:9092/)
    assert.equal(config.backends.sqs?.endpoint, 'http://aws:4566')
  })

  it('lets the service finish what runs when it is stopped', () => {
    const { processor, notifier } = sample()
    const grace = Number(/^(\d+)s$/.exec(downloader.stop_grace_period)?.[1]) * 1000
    assert.ok(grace > Math.max(processor.shutdown_grace_ms, notifier.shutdown_grace_ms))
  })

  it('declares the volumes that it uses', () => {
    const used = Object.values<{ volumes?: string[] }>(compose.services)
      .flatMap(({ volumes = [] }) => volumes)
      .map((volume) => volume.split(':')[0])
    assert.deepEqual(used.sort(), Object.keys(compose.volumes).sort())
  })
})

describe('contrib/systemd', () => {
  const folder = path.join(root, 'contrib', 'systemd')
  const units = readdirSync(folder)

  it('has a unit for each process', () => {
    assert.deepEqual(units.sort(), [
      'downloader-api.service',
      'downloader-notifier@.service',
      'downloader-processor@.service',
    ])
  })

  for (const unit of units) {
    it(`${unit} starts its process again, and lets it finish what runs`, () => {
      const text = read(path.join('contrib', 'systemd', unit))
      const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(text)?.[1] ?? ''
      const command = /^downloader-(\w+)/.exec(unit)?.[1]
      assert.equal(
        value('ExecStart'),
        `/usr/bin/node /opt/downloader/dist/main.js ${command} -c /etc/downloader/config.json`,
      )
      assert.equal(value('Restart'), 'always')
      assert.equal(value('User'), 'downloader')
      assert.ok(Number(value('TimeoutStopSec')) * 1000 > sample().processor.shutdown_grace_ms)
      assert.equal(value('MemoryDenyWriteExecute'), '', 'V8 could not compile')
    })
  }
})
