import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { loadConfig } from '../../src/config/load.ts'
import { startAws } from '../support/aws.ts'
import { runContainer } from '../support/container.ts'
import { eventually } from '../support/eventually.ts'
import { freePort, startRedis } from '../support/redis.ts'
import { parseYaml } from '../support/yaml.ts'

const folder = path.resolve(import.meta.dirname, '../../contrib/kubernetes')
const read = (file: string) => readFileSync(path.join(folder, file), 'utf8')
const schemas = JSON.parse(readFileSync(path.join(import.meta.dirname, 'schemas/kubernetes.json'), 'utf8'))

type Labels = Record<string, string>
interface Probe {
  httpGet: { path: string; port: string }
}
interface PodContainer {
  name: string
  args: string[]
  ports: { name: string; containerPort: number }[]
  livenessProbe: Probe
  readinessProbe: Probe
  lifecycle?: { preStop: { exec: { command: string[] } } }
  securityContext: object
  env?: { name: string; value: string }[]
}
interface Pod {
  terminationGracePeriodSeconds: number
  securityContext: { runAsNonRoot: boolean; runAsUser: number }
  containers: [PodContainer]
  volumes: { name: string; configMap?: { name: string } }[]
}
interface Resource {
  apiVersion: string
  kind: string
  metadata: { name: string }
}
interface Deployment extends Resource {
  spec: { selector: { matchLabels: Labels }; template: { metadata: { labels: Labels }; spec: Pod } }
}
interface Autoscaler extends Resource {
  spec: { scaleTargetRef: { kind: string; name: string }; metrics: { external: { metric: { name: string } } }[] }
}
interface Rule {
  seriesQuery: string
  name: { as: string }
  metricsQuery: string
}

const kustomization = parseYaml(read('kustomization.yaml'))[0] as {
  resources: string[]
  configMapGenerator: { name: string; files: string[] }[]
  images: { name: string }[]
}
const component = parseYaml(read('filesystem/kustomization.yaml'))[0] as {
  resources: string[]
  patches: { path: string }[]
}
const filed = [...kustomization.resources, ...component.resources.map((file) => `filesystem/${file}`)].flatMap((file) =>
  parseYaml(read(file)).map((resource) => ({ file, resource: resource as Resource })),
)
const all = <T extends Resource>(kind: string) =>
  filed.map(({ resource }) => resource).filter((resource): resource is T => resource.kind === kind)

const deployments = all<Deployment>('Deployment')
const roles = ['api', 'processor', 'notifier'] as const
const deploymentOf = (role: string) =>
  deployments.find(({ metadata }) => metadata.name === `downloader-${role}`) ?? assert.fail(role)
const podOf = (role: string) => deploymentOf(role).spec.template.spec
const containerOf = (role: string) => podOf(role).containers[0]
const patch = parseYaml(read('filesystem/processor.yaml'))[0] as Deployment
const patchEnv = Object.fromEntries(
  (patch.spec.template.spec.containers[0].env ?? []).map(({ name, value }) => [name, value]),
)
const { config, warnings } = loadConfig(path.join(folder, 'config.json'), {})

const ajv = new Ajv2020({ strict: true, allErrors: true, allowUnionTypes: true })
ajv.addSchema({ $id: 'kubernetes', $defs: schemas.$defs })

/** What the schema of its kind says against a resource. */
function complaints(resource: Resource) {
  const ref = schemas.kinds[`${resource.apiVersion} ${resource.kind}`]
  assert.ok(ref, `the schema of ${resource.apiVersion} ${resource.kind}`)
  const validate = ajv.compile({ $ref: `kubernetes${ref}` })
  validate(resource)
  return (validate.errors ?? []).map((error) => ({ ...error, where: `${error.instancePath} ${error.message}` }))
}

describe('contrib/kubernetes', () => {
  for (const { file, resource } of filed) {
    it(`${file}: ${resource.kind} ${resource.metadata.name} is as Kubernetes wants it`, () => {
      assert.deepEqual(
        complaints(resource).map(({ where }) => where),
        [],
      )
    })
  }

  it('has nothing that its schemas would let pass', () => {
    const wrong = structuredClone(deploymentOf('api'))
    Object.assign(wrong.spec.template.spec.containers[0], { readynessProbe: {}, args: 'api' })
    assert.deepEqual(
      complaints(wrong).map(({ keyword }) => keyword),
      ['additionalProperties', 'type'],
    )
  })

  it('patches only what is there', () => {
    const missing = complaints(patch).filter(({ keyword }) => keyword !== 'required')
    assert.deepEqual(missing, [])
    assert.equal(patch.spec.template.spec.containers[0].name, containerOf('processor').name)
    assert.equal(patch.metadata.name, deploymentOf('processor').metadata.name)
  })

  it('names every file that it has', () => {
    const named = [...kustomization.resources, 'kustomization.yaml', 'config.json', 'filesystem']
    assert.deepEqual(readdirSync(folder).sort(), [...named, 'prometheus-adapter.yaml', 'README.md'].sort())
    const patches = component.patches.map(({ path }) => path)
    const inside = [...component.resources, ...patches, 'kustomization.yaml']
    assert.deepEqual(readdirSync(path.join(folder, 'filesystem')).sort(), inside.sort())
  })

  it('is built by kubectl, also with its component, where that is installed', async () => {
    const copy = mkdtempSync(path.join(tmpdir(), 'kustomize-'))
    cpSync(folder, copy, { recursive: true })
    writeFileSync(
      path.join(copy, 'kustomization.yaml'),
      read('kustomization.yaml').replace('# components:', 'components:'),
    )
    for (const dir of [folder, copy]) {
      const built = await promisify(execFile)('kubectl', ['kustomize', dir]).catch((error: NodeJS.ErrnoException) => {
        assert.equal(error.code, 'ENOENT', error.message)
      })
      if (!built) continue
      const resources = parseYaml(built.stdout) as Resource[]
      assert.deepEqual(resources.flatMap(complaints), [])
      assert.equal(JSON.stringify(resources).includes('downloader-files'), dir === copy)
    }
    rmSync(copy, { recursive: true })
  })

  it('has a Deployment for each process, whose pods its selectors find', () => {
    assert.deepEqual(
      deployments.map(({ metadata }) => metadata.name).sort(),
      roles.map((role) => `downloader-${role}`).sort(),
    )
    const matches = (selector: Labels) =>
      deployments.filter(({ spec }) =>
        Object.entries(selector).every(([label, value]) => spec.template.metadata.labels[label] === value),
      )
    for (const deployment of deployments) assert.deepEqual(matches(deployment.spec.selector.matchLabels), [deployment])
    for (const { spec } of all<Resource & { spec: { selector: Labels } }>('Service')) {
      assert.deepEqual(matches(spec.selector), [deploymentOf('api')])
    }
    const budgets = all<Deployment>('PodDisruptionBudget')
    assert.equal(budgets.length, roles.length)
    for (const { metadata, spec } of budgets) {
      const [found] = matches(spec.selector.matchLabels)
      assert.equal(found?.metadata.name, metadata.name)
    }
  })

  it('has a valid configuration, on S3 and on a volume, that the pods read', () => {
    assert.deepEqual(warnings, [])
    const onVolume = loadConfig(path.join(folder, 'config.json'), patchEnv)
    assert.deepEqual(onVolume.warnings, [])
    assert.equal(config.processor.filestorage?.type, 's3')
    assert.equal(onVolume.config.processor.filestorage?.type, 'filesystem')
    assert.ok(kustomization.images.some(({ name }) => name === 'downloader'))
    const [generated] = kustomization.configMapGenerator
    assert.deepEqual(generated?.files, ['config.json'])
    for (const role of roles) {
      const mounted = podOf(role).volumes.find(({ name }) => name === 'config')?.configMap?.name
      assert.equal(mounted, generated?.name)
    }
  })

  it('probes the ports that the configuration opens, to other hosts too', () => {
    const ports = {
      api: [config.api.port, config.api.host],
      processor: [config.processor.metrics_port, config.processor.metrics_host],
      notifier: [config.notifier.metrics_port, config.notifier.metrics_host],
    }
    for (const role of roles) {
      const { livenessProbe, readinessProbe, ports: opened } = containerOf(role)
      for (const { httpGet } of [livenessProbe, readinessProbe]) {
        const port = opened.find(({ name }) => name === httpGet.port)?.containerPort
        assert.deepEqual([port, '0.0.0.0'], ports[role], role)
      }
    }
  })

  it('gives each process the time to finish what runs, before it is killed', () => {
    const { shutdown_grace_ms } = config.processor
    const graceMs = {
      api: shutdown_grace_ms,
      processor: shutdown_grace_ms,
      notifier: config.notifier.shutdown_grace_ms,
    }
    for (const role of roles) {
      const [sleep, seconds = '0'] = containerOf(role).lifecycle?.preStop.exec.command ?? ['sleep']
      assert.equal(sleep, 'sleep')
      const leftMs = (podOf(role).terminationGracePeriodSeconds - Number(seconds)) * 1000
      assert.ok(leftMs >= graceMs[role] + 5000, role)
    }
  })

  it('stops downloading before the kubelet evicts pods for want of disk', () => {
    assert.ok(config.processor.disk_high < 90) // nodefs.available<10%, its default
  })

  it('runs with no rights, as the user of the image', () => {
    for (const role of roles) {
      const { runAsNonRoot, runAsUser } = podOf(role).securityContext
      assert.deepEqual([runAsNonRoot, runAsUser], [true, 1000]) // `node` in Debian's image of Node
      assert.deepEqual(containerOf(role).securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
    }
  })

  it('starts with its commands, answers its probes, exports what it scales on, and ends at SIGTERM', async () => {
    await using redis = await startRedis()
    const { filestorage } = config.processor
    assert.equal(filestorage?.type, 's3')
    await using aws = await startAws([filestorage.bucket])
    const ports = { api: await freePort(), processor: await freePort(), notifier: await freePort() }
    const env = {
      DOWNLOADER_REDIS__URL: `redis://${redis.addr}`,
      DOWNLOADER_API__PORT: String(ports.api),
      DOWNLOADER_PROCESSOR__METRICS_PORT: String(ports.processor),
      DOWNLOADER_NOTIFIER__METRICS_PORT: String(ports.notifier),
      DOWNLOADER_PROCESSOR__DISK_HIGH: '100',
      DOWNLOADER_PROCESSOR__FILESTORAGE__ENDPOINT: aws.endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      LOG_LEVEL: 'error',
    }
    const files = { '/etc/downloader/config.json': read('config.json') }
    const run = (role: string) =>
      runContainer({ command: ['/srv/entrypoint.sh', ...containerOf(role).args], env, files })
    await using api = await run('api')
    await using processor = await run('processor')
    await using notifier = await run('notifier')
    for (const role of roles) {
      const { livenessProbe, readinessProbe } = containerOf(role)
      for (const { httpGet } of [livenessProbe, readinessProbe]) {
        await eventually(async () => {
          const { status } = await fetch(`http://127.0.0.1:${ports[role]}${httpGet.path}`)
          assert.equal(status, 200, `${role} ${httpGet.path}`)
        })
      }
    }
    const callback = { callback_type: 'http', callback_dst: 'http://127.0.0.1:1/' }
    const job = { aggr_id: 'a', aggr_limit: 1, url: 'http://nowhere.invalid/', max_retries: 0, ...callback }
    await fetch(`http://127.0.0.1:${ports.api}/download`, { method: 'POST', body: JSON.stringify(job) })
    const metrics = await eventually(async () => {
      const text = await (await fetch(`http://127.0.0.1:${ports.api}/metrics`)).text()
      assert.match(text, /room="callbacks:http"/) // a room is told of since its first job
      return text
    })
    assert.deepEqual(await Promise.all([api, processor, notifier].map((container) => container.stop())), [0, 0, 0])

    const [values] = parseYaml(read('prometheus-adapter.yaml')) as [{ rules: { external: Rule[] } }]
    const rules = new Map(values.rules.external.map((rule) => [rule.name.as, rule]))
    const scaled = all<Autoscaler>('HorizontalPodAutoscaler')
    assert.deepEqual(
      scaled.map(({ spec }) => spec.scaleTargetRef.name),
      ['downloader-processor', 'downloader-notifier'],
    )
    for (const { spec } of scaled) {
      for (const { external } of spec.metrics) {
        const rule = rules.get(external.metric.name) ?? assert.fail(external.metric.name)
        for (const query of [rule.seriesQuery, rule.metricsQuery]) {
          const [, name = '', op = '', value = ''] = /(\w+)\{room(=~?)"([^"]+)"/.exec(query) ?? []
          const room = op === '=' ? value : 'callbacks:http'
          assert.match(room, new RegExp(`^${value}$`))
          assert.match(metrics, new RegExp(`^${name}\\{room="${room}"\\} `, 'm'), query)
        }
      }
    }
  })
})
