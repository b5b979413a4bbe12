import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Ajv } from 'ajv'
import { loadConfig } from '../../src/config/load.ts'
import { runContainer } from '../support/container.ts'
import { eventually } from '../support/eventually.ts'
import { freePort, startRedis } from '../support/redis.ts'
import { parseYaml } from '../support/yaml.ts'

const root = path.resolve(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(path.join(root, file), 'utf8')
const schemas = JSON.parse(read('test/packaging/schemas/cloudformation.json'))

interface Container {
  Name: string
  EntryPoint: string[]
  Command: [string]
  Secrets: { Name: string; ValueFrom: string }[]
  PortMappings?: { ContainerPort: number }[]
  HealthCheck: { Command: string[] }
  StopTimeout: number
  MountPoints: { SourceVolume: string; ContainerPath: string }[]
  User: string
  ReadonlyRootFilesystem: boolean
  LinuxParameters: object
}
interface Task {
  Cpu: string
  Memory: string
  Volumes: { Name: string }[]
  ContainerDefinitions: [Container]
}
interface Service {
  TaskDefinition: string
  LoadBalancers?: { ContainerName: string; ContainerPort: number }[]
}
interface Template {
  Parameters: Record<string, { Type: string; Default?: string | number }>
  Resources: Record<string, { Type: string; Properties?: unknown }>
}

const text = read('contrib/ecs/downloader.yml')
const template = parseYaml(text)[0] as Template

/** What a name stands for once the stack is created, or something of that type. */
function referred(name: string): unknown {
  const parameter = template.Parameters[name]
  if (parameter) return parameter.Default ?? (parameter.Type.startsWith('List<') ? ['id-1', 'id-2'] : 'id-1')
  assert.ok(name.startsWith('AWS::') || template.Resources[name.split('.')[0] ?? ''], `${name} is there`)
  return name === 'AWS::Region' ? 'eu-west-2' : name
}

/** A value as CloudFormation hands it on: references and substitutions done. */
function resolved(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(resolved)
  if (typeof value !== 'object' || value === null) return value
  const { Ref, 'Fn::Sub': sub, 'Fn::GetAtt': attribute } = value as Record<string, unknown>
  if (typeof Ref === 'string') return referred(Ref)
  if (typeof sub === 'string') return sub.replace(/\$\{([^}]+)\}/g, (_, name) => String(referred(name)))
  if (Array.isArray(attribute)) return referred(attribute.join('.'))
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner)]))
}

const resources = Object.entries(template.Resources).map(([name, { Type, Properties = {} }]) => {
  return { name, type: Type, properties: resolved(Properties) }
})
const propertiesOf = (name: string): unknown => resources.find((resource) => resource.name === name)?.properties

const ajv = new Ajv({ strict: false, allErrors: true })
function complaints(type: string, properties: unknown): string[] {
  assert.ok(schemas[type], `the schema of ${type}`)
  const validate = ajv.compile(schemas[type])
  validate(properties)
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

const roles = ['api', 'processor', 'notifier'] as const
const taskOf = (role: string) => propertiesOf(`${role[0]?.toUpperCase()}${role.slice(1)}Task`) as Task
const containerOf = (role: string) => taskOf(role).ContainerDefinitions[0]
const configuration = (propertiesOf('Config') as { Value: string }).Value
const secrets = {
  DOWNLOADER_REDIS__URL: 'rediss://user:password@redis.example:6379/0',
  DOWNLOADER_API__TOKENS: '["t"]',
}

describe('contrib/ecs', () => {
  for (const { name, type, properties } of resources) {
    it(`${name} is as CloudFormation wants a ${type}`, () => {
      assert.deepEqual(complaints(type, properties), [])
    })
  }

  it('has nothing that its schemas would let pass', () => {
    const wrong = structuredClone(taskOf('api'))
    Object.assign(wrong.ContainerDefinitions[0], { Helthcheck: {}, StopTimeout: 'long' })
    assert.equal(complaints('AWS::ECS::TaskDefinition', wrong).length, 2)
  })

  it('has no YAML aliases, which CloudFormation does not read', () => {
    assert.doesNotMatch(text, /[:\-[,] [&*]\w/)
  })

  describe('its configuration', () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'ecs-'))
    after(() => rmSync(dir, { recursive: true }))
    writeFileSync(path.join(dir, 'config.json'), configuration)
    const { config, warnings } = loadConfig(path.join(dir, 'config.json'), secrets)

    it('is valid, with what the secret adds', () => {
      assert.deepEqual(warnings, [])
      assert.equal(config.processor.filestorage?.type, 's3')
      assert.ok(config.backends.http && config.backends.sqs)
      for (const role of roles) {
        assert.deepEqual(
          containerOf(role).Secrets.map(({ Name }) => Name),
          ['CONFIG', ...Object.keys(secrets)],
        )
      }
    })

    it('has the ports that the health checks and the load balancer ask', () => {
      const ports = {
        api: config.api.port,
        processor: config.processor.metrics_port,
        notifier: config.notifier.metrics_port,
      }
      for (const role of roles) {
        assert.ok(containerOf(role).HealthCheck.Command.join(' ').includes(`127.0.0.1:${ports[role]}/livez`), role)
      }
      assert.equal(config.api.host, '0.0.0.0')
      const [target] = (propertiesOf('Api') as Service).LoadBalancers ?? []
      assert.deepEqual([target?.ContainerName, target?.ContainerPort], ['api', config.api.port])
      assert.deepEqual(containerOf('api').PortMappings, [{ ContainerPort: config.api.port }])
    })

    it('lets each task finish what runs before it is killed', () => {
      const graceMs = Math.max(config.processor.shutdown_grace_ms, config.notifier.shutdown_grace_ms)
      for (const role of roles) {
        const { StopTimeout } = containerOf(role)
        assert.ok(StopTimeout * 1000 >= graceMs + 5000 && StopTimeout <= 120, role) // 120: Fargate's most
      }
    })

    it('keeps its files where the tasks can write', () => {
      for (const role of roles) {
        const { MountPoints, User, ReadonlyRootFilesystem, LinuxParameters } = containerOf(role)
        const [{ SourceVolume, ContainerPath } = assert.fail()] = MountPoints
        assert.deepEqual(taskOf(role).Volumes, [{ Name: SourceVolume }])
        assert.ok(read('Dockerfile').includes(`VOLUME ${ContainerPath}\n`), 'owned by the user of the image')
        assert.ok(config.processor.storage_dir?.startsWith(`${ContainerPath}/`))
        assert.deepEqual([User, ReadonlyRootFilesystem], ['1000', true])
        assert.deepEqual(LinuxParameters, { Capabilities: { Drop: ['ALL'] } })
      }
    })
  })

  it('has sizes that Fargate offers, and a service for each task', () => {
    for (const role of roles) {
      const { Cpu, Memory } = taskOf(role)
      assert.ok(Number(Memory) >= 2 * Number(Cpu) && Number(Memory) <= 8 * Number(Cpu), role)
    }
    const services = resources.filter(({ type }) => type === 'AWS::ECS::Service')
    assert.deepEqual(
      services.map(({ properties }) => (properties as Service).TaskDefinition),
      ['ApiTask', 'ProcessorTask', 'NotifierTask'],
    )
  })

  it('starts with its commands, is healthy by its checks, and ends at SIGTERM', async () => {
    await using redis = await startRedis()
    const ports = { api: await freePort(), processor: await freePort(), notifier: await freePort() }
    const env = {
      CONFIG: configuration,
      DOWNLOADER_REDIS__URL: `redis://${redis.addr}`,
      DOWNLOADER_API__TOKENS: secrets.DOWNLOADER_API__TOKENS,
      DOWNLOADER_API__PORT: String(ports.api),
      DOWNLOADER_PROCESSOR__METRICS_PORT: String(ports.processor),
      DOWNLOADER_NOTIFIER__METRICS_PORT: String(ports.notifier),
      LOG_LEVEL: 'error',
    }
    const { HealthCheckPath } = propertiesOf('Targets') as { HealthCheckPath: string }
    for (const role of roles) {
      const { EntryPoint, Command, HealthCheck } = containerOf(role)
      await using container = await runContainer({ command: [...EntryPoint, ...Command], env })
      const [kind, node, ...script] = HealthCheck.Command.map((part) =>
        part.replace(/(?<=127\.0\.0\.1:)\d+/, `${ports[role]}`),
      )
      assert.deepEqual([kind, node], ['CMD', 'node'])
      const check = () => promisify(execFile)(process.execPath, script)
      await eventually(check)
      if (role === 'api') assert.equal((await fetch(`http://127.0.0.1:${ports.api}${HealthCheckPath}`)).status, 200)
      assert.equal(await container.stop(), 0, role)
      await assert.rejects(check, { code: 1 })
    }
  })
})
