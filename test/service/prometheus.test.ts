import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { eventually } from '../support/eventually.ts'
import { startOrigin } from '../support/http-origin.ts'
import { type Prometheus, promtool, startPrometheus } from '../support/prometheus.ts'
import { freePort } from '../support/redis.ts'
import { startService } from '../support/service.ts'

const alerts = path.resolve('contrib/alerts.yml')

/** Values of a series, one a minute, as promtool writes them. */
type Series = Record<string, string>

interface AlertCase {
  fires: Series
  /** Much the same, where it must not fire. */
  quiet: Series
  /** Labels beside the severity. */
  labels?: Record<string, string>
  severity: 'page' | 'ticket'
  summary: string
}

const ended = (code: string) => `downloader_attempts_total{code="${code}"}`

/** All are looked at after half an hour. */
const cases: Record<string, AlertCase> = {
  DownloaderNothingDownloads: {
    fires: { 'downloader_oldest_wait_seconds{room="downloads"}': '700+0x60', [ended('ok')]: '5+0x60' },
    quiet: { 'downloader_oldest_wait_seconds{room="downloads"}': '700+0x60', [ended('http.404')]: '5+1x60' },
    severity: 'page',
    summary: 'Jobs wait, and no download has ended for ten minutes',
  },
  DownloaderOldestWait: {
    fires: { 'downloader_oldest_wait_seconds{room="callbacks:http",instance="a"}': '1000+0x60' },
    quiet: { 'downloader_oldest_wait_seconds{room="callbacks:http",instance="a"}': '800+0x60' },
    labels: { room: 'callbacks:http' },
    severity: 'ticket',
    summary: 'A job in callbacks:http could start and waits for 16m 40s',
  },
  DownloaderFailuresByCode: {
    fires: { [ended('http.503')]: '0+6x60', [ended('ok')]: '0+4x60' },
    quiet: { [ended('http.503')]: '0+3x60', [ended('http.404')]: '0+3x60', [ended('ok')]: '0+4x60' },
    labels: { code: 'http.503' },
    severity: 'ticket',
    summary: 'More than half of the downloads fail with http.503',
  },
  DownloaderCallbacksFail: {
    fires: { 'downloader_callbacks_total{backend="http",outcome="failed",instance="a"}': '0+1x60' },
    quiet: { 'downloader_callbacks_total{backend="http",outcome="retried",instance="a"}': '0+1x60' },
    labels: { backend: 'http' },
    severity: 'ticket',
    summary: 'Callbacks over http are given up',
  },
  DownloaderLeasesLost: {
    fires: { 'downloader_leases_lost_total{room="downloads",instance="a"}': '0x20 1x40' },
    quiet: { 'downloader_leases_lost_total{room="downloads",instance="a"}': '1x60' },
    labels: { instance: 'a', room: 'downloads' },
    severity: 'ticket',
    summary: 'a lost leases in downloads',
  },
  DownloaderJobsUnaccounted: {
    fires: { downloader_jobs_unaccounted: '-2x60' },
    quiet: { downloader_jobs_unaccounted: '0x28 1x1 0x30' },
    severity: 'page',
    summary: '2 jobs are in no place',
  },
  DownloaderDiskFull: {
    fires: { 'downloader_disk_full{instance="a"}': '1x60', 'downloader_disk_used_ratio{instance="a"}': '0.9x60' },
    quiet: { 'downloader_disk_full{instance="a"}': '0x60', 'downloader_disk_used_ratio{instance="a"}': '0.9x60' },
    labels: { instance: 'a' },
    severity: 'page',
    summary: 'The disk of a is full: it starts no downloads',
  },
  DownloaderRedisSlow: {
    fires: { downloader_redis_silence_seconds: '6x60' },
    quiet: {
      downloader_redis_silence_seconds: '0x60',
      'downloader_redis_latency_seconds_bucket{le="0.01"}': '0+60x60',
      'downloader_redis_latency_seconds_bucket{le="+Inf"}': '0+60x60',
    },
    severity: 'page',
    summary: 'Redis is slow, or does not answer',
  },
}

describe('the alert rules, as Prometheus judges them', () => {
  let dir: string
  before(() => {
    dir = mkdtempSync(path.join(tmpdir(), 'alerts-'))
  })
  after(() => rmSync(dir, { recursive: true, force: true }))

  it('are right', () => promtool('check', 'rules', alerts))

  it('have a case here, all of them', () => {
    const names = [...readFileSync(alerts, 'utf8').matchAll(/- alert: (\w+)/g)].map(([, name]) => name)
    assert.deepEqual(Object.keys(cases), names)
  })

  for (const [alertname, { fires, quiet, labels, severity, summary }] of Object.entries(cases)) {
    it(`${alertname} fires when it should, and only then`, async () => {
      const expected = [{ exp_labels: { ...labels, severity }, exp_annotations: { summary } }]
      const test = (series: Series, exp_alerts: unknown[]) => ({
        interval: '1m',
        input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
        alert_rule_test: [{ eval_time: '30m', alertname, exp_alerts }],
      })
      const file = path.join(dir, `${alertname}.json`) // JSON is YAML
      const tests = [test(fires, expected), test(quiet, [])]
      writeFileSync(file, JSON.stringify({ rule_files: [alerts], evaluation_interval: '1m', tests }))
      await promtool('test', 'rules', file)
    })
  }
})

describe('a real Prometheus', () => {
  it('finds a deployment as the documentation says, and all that rules, dashboard and autoscaling ask for', async () => {
    const ports = { processor: await freePort(), notifier: await freePort() }
    await using origin = await startOrigin()
    await using service = await startService({
      config: { processor: { metrics_port: ports.processor }, notifier: { metrics_port: ports.notifier } },
    })
    await service.download({ url: origin.on('/file', 'content') })
    await using prometheus = await startPrometheus(configOfTheDocs(service.url, ports))

    await eventually(async () => {
      const up = await prometheus.query('up')
      assert.deepEqual(up.map(({ metric, value }) => `${metric.job} ${value[1]}`).sort(), [
        'downloader-api 1',
        'downloader-workers 1',
        'downloader-workers 1',
      ])
    })
    await service.download({ url: origin.on('/other', 'content') })
    await service.download({ url: `${origin.url}/missing` })
    for (const [title, expr] of [...shownByGrafana(), ...askedByAutoscaling()]) {
      await eventually(async () => assert.notDeepEqual(await prometheus.query(expr), [], `${title}: ${expr}`))
    }
    assert.deepEqual(await settled(prometheus), new Set(['ok inactive']))
    const [accepted] = await prometheus.query('max(downloader_jobs_accepted_total)')
    assert.equal(accepted?.value[1], '3')
  }).timeout(60_000)
})

/** The example of docs/observability.md, for these processes, and with little patience. */
function configOfTheDocs(api: string, ports: { processor: number; notifier: number }): string {
  const [, yaml = ''] =
    /```yaml\n# prometheus\.yml\n(.*?)```/s.exec(readFileSync('docs/observability.md', 'utf8')) ?? []
  const config = yaml
    .replace('alerts.yml', alerts)
    .replace('api:8000', new URL(api).host)
    .replace('processor-1:9101', `127.0.0.1:${ports.processor}`)
    .replace('notifier-1:9102', `127.0.0.1:${ports.notifier}`)
  return `global: { scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms }\n${config}`
}

function shownByGrafana(): [title: string, expr: string][] {
  const { panels } = JSON.parse(readFileSync('contrib/grafana-dashboard.json', 'utf8')) as {
    panels: { title: string; targets: { expr: string }[] }[]
  }
  return panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr]))
}

/** The chart of prometheus-adapter fills in the labels of the namespace. */
function askedByAutoscaling(): [title: string, expr: string][] {
  const text = readFileSync('contrib/kubernetes/prometheus-adapter.yaml', 'utf8')
  const queries = [...text.matchAll(/metricsQuery: '(.+)'/g)].map(([, query = '']) => query)
  assert.equal(queries.length, 2)
  return queries.map((query) => ['autoscaling', query.replace('<<.LabelMatchers>>', 'job="downloader-api"')])
}

/** Health and state of the rules, once all were evaluated. */
async function settled(prometheus: Prometheus): Promise<Set<string>> {
  return eventually(async () => {
    const { groups } = await prometheus.ask<{ groups: { rules: { health: string; state: string }[] }[] }>('rules')
    const rules = groups.flatMap(({ rules }) => rules)
    assert.equal(rules.length, Object.keys(cases).length)
    assert.ok(rules.every(({ health }) => health !== 'unknown'))
    return new Set(rules.map(({ health, state }) => `${health} ${state}`))
  })
}
