import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { promisify } from 'node:util'
import { loadConfig } from '../../src/config/load.ts'
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

  it('is healthy while /hb answers 200', async () => {
    const [, command, ...args] = JSON.parse(/CMD (.*)/.exec(last('HEALTHCHECK'))?.[1] ?? '') as string[]
    assert.equal(command, '-e')
    let status = 200
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.writeHead(status).end()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const check = async () => {
      const PORT = String((server.address() as AddressInfo).port)
      const child = spawn(process.execPath, ['-e', ...args], { env: { PORT }, stdio: 'ignore' })
      return (await once(child, 'exit'))[0]
    }
    assert.equal(await check(), 0)
    status = 503
    assert.equal(await check(), 1)
    assert.deepEqual(asked, ['/hb', '/hb'])
    server.close()
    server.closeAllConnections()
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
