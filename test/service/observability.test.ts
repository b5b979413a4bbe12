import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { FailuresView } from '../../src/api/schemas/overview.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { freePort } from '../support/redis.ts'
import { type Service, startService } from '../support/service.ts'

/** What `GET /series` answers. */
interface Series {
  step_s: number
  points: Record<string, string | number>[]
}

interface Family {
  type: string
  /** Names of labels that samples have. */
  labels: string[]
}

/** Prometheus' text format: what there is of each name, without the parts of histograms. */
function familiesIn(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm))
    families.set(name, { type, labels: [] })
  for (const [, sample = '', list = ''] of text.matchAll(/^([a-z_]+)(?:\{(.*)\})? \S+$/gm)) {
    const family = families.get(sample) ?? families.get(sample.replace(/_(bucket|sum|count)$/, ''))
    assert.ok(family, `${sample} has a type`)
    for (const [, label = ''] of list.matchAll(/([a-z]+)="/g)) {
      if (label !== 'le' && !family.labels.includes(label)) family.labels.push(label)
    }
  }
  return families
}

/** Every name of a metric in PromQL. */
const namesIn = (text: string): string[] =>
  [...text.matchAll(/\b(?:downloader|process)_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''))

/** `- alert:` and what belongs to it. A line that is anything else than we write fails. */
function alertsIn(text: string): Record<string, string>[] {
  const alerts: Record<string, string>[] = []
  for (const line of text.split('\n')) {
    const [, dash, key = '', value = ''] = /^ {6}(?:(- )| {2}| {4})([a-z]+):(?: (.+))?$/.exec(line) ?? []
    if (dash) alerts.push({ [key]: value })
    else if (key) Object.assign(alerts.at(-1) ?? {}, { [key]: value })
    else assert.match(line, /^(#.*|groups:| {2}- name: downloader| {4}rules:|)$/)
  }
  return alerts
}

describe('what a deployment tells of itself', () => {
  let origin: Origin
  let service: Service
  const ports = { processor: 0, notifier: 0 }
  let told: string[] = []
  const families = new Map<string, Family>()
  const ask = (role: keyof typeof ports, path: string) => fetch(`http://127.0.0.1:${ports[role]}${path}`)
  const text = async (response: Promise<Response>) => (await response).text()

  before(async () => {
    origin = await startOrigin()
    ports.processor = await freePort()
    ports.notifier = await freePort()
    const processor = { metrics_port: ports.processor, max_retries: 1, request_headers: { 'X-Key': 's3cr3t-default' } }
    const notifier = { metrics_port: ports.notifier, max_retries: 0 }
    const backends = { http: { timeout: 5, signing_secret: 's3cr3t-signing' } }
    service = await startService({ config: { processor, notifier, backends } })
    service.receiver.answer = ({ path }) => (path.endsWith('/refuses') ? 500 : 200)

    const refusing = `${service.receiver.url.replace(/\/$/, '')}/refuses`
    const good = `${origin.on('/good', 'body').replace('http://', 'http://user:s3cr3t-url@')}?token=s3cr3t-query`
    const request_headers = { Authorization: 'Bearer s3cr3t-header', Cookie: 'id=s3cr3t-cookie' }
    await service.download({ url: good, request_headers })
    await service.download({ url: `${origin.url}/bad?token=s3cr3t-query` })
    const id = await service.enqueue({
      url: origin.on('/cut', (_, response) => void response.destroy()),
      callback_dst: refusing,
    })
    await service.role('notifier').logged(({ msg, job_id }) => msg === 'callback failed' && job_id === id)
    await eventually(async () => {
      told = await Promise.all([
        text(service.get('/metrics')),
        text(ask('processor', '/metrics')),
        text(ask('notifier', '/metrics')),
      ])
      assert.match(told[0] ?? '', /^downloader_failures_total{process=".+",code="receiver.status"} 1$/m)
      for (const part of told) assert.match(part, /^downloader_redis_latency_seconds_count [1-9]/m)
    })
    for (const part of told) for (const [name, family] of familiesIn(part)) families.set(name, family)
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  it('is all in docs/observability.md: each metric with its type and labels, and no other', () => {
    const rows = readFileSync('docs/observability.md', 'utf8').matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\|/gm)
    const documented = [...rows].map(([, name = '', type = '', labels = '']) => {
      return [name, type, [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort()]
    })
    const exposed = [...families].map(([name, { type, labels }]) => [name, type, labels.sort()])
    assert.deepEqual(documented.sort(), exposed.sort())
  })

  it('says what happened over time, minute by minute, and why things failed', async () => {
    await eventually(async () => {
      const { step_s, points } = (await (await service.get('/series')).json()) as Series
      assert.deepEqual([step_s, points.length], [60, 60])
      const sum = (name: string) => points.reduce((total, point) => total + Number(point[name] ?? 0), 0)
      assert.deepEqual([sum('downloaded'), sum('failed'), sum('retried')], [1, 2, 1])
      assert.deepEqual([sum('delivered'), sum('callbacks_failed')], [2, 1])
    }, 15_000)
    const day = (await (await service.get('/series?span=day')).json()) as Series
    assert.deepEqual([day.step_s, day.points.length], [600, 144])
    assert.equal((await service.get('/series?span=year')).status, 400)
    const { recent } = (await (await service.get('/failures?span=day')).json()) as FailuresView
    assert.deepEqual(recent.map(({ code }) => code).sort(), ['connect.reset', 'http.404', 'receiver.status'])
  })

  it('has every metric that the alert rules ask for, and each alert says what to do', async () => {
    const file = 'contrib/alerts.yml'
    const alerts = alertsIn(readFileSync(file, 'utf8'))
    const guide = readFileSync('docs/observability.md', 'utf8')
    assert.ok(alerts.length >= 8)
    for (const { alert = '', expr = '', labels = '', summary = '' } of alerts) {
      assert.ok(namesIn(expr).length > 0, alert)
      for (const name of namesIn(expr)) assert.ok(families.has(name), `${alert}: ${name}`)
      assert.match(labels, /^{ severity: (page|ticket) }$/)
      assert.match(summary, /^".+"$/)
      assert.ok(guide.includes(`\n### ${alert}\n`), alert)
    }
  })

  it('has every metric that the dashboard shows', () => {
    const dashboard = JSON.parse(readFileSync('contrib/grafana-dashboard.json', 'utf8')) as {
      panels: { title: string; targets: { expr: string }[] }[]
    }
    for (const { title, targets } of dashboard.panels) {
      assert.ok(targets.length > 0, title)
      for (const name of targets.flatMap(({ expr }) => namesIn(expr)))
        assert.ok(families.has(name), `${title}: ${name}`)
    }
  })

  it('counts attempts by code, and every claim as an attempt that ended', () => {
    const [, processor = '', notifier = ''] = told
    assert.match(processor, /^downloader_attempts_total{code="ok"} 1$/m)
    assert.match(processor, /^downloader_attempts_total{code="http.404"} 1$/m)
    assert.match(processor, /^downloader_attempts_total{code="connect.reset"} 2$/m)
    assert.match(processor, /^downloader_claims_total{room="downloads"} 4$/m)
    assert.match(processor, /^downloader_received_bytes_total 4$/m)
    assert.match(processor, /^downloader_download_duration_seconds_count{outcome="failed"} 3$/m)
    assert.match(notifier, /^downloader_callbacks_total{backend="http",outcome="delivered"} 2$/m)
    assert.match(notifier, /^downloader_callbacks_total{backend="http",outcome="failed"} 1$/m)
  })

  it('has one line for each attempt, with all that matters', () => {
    const { logs } = service.role('processor')
    const ok = logs.find(({ msg }) => msg === 'downloaded') ?? {}
    const host = new URL(origin.url).host
    const { job_id, time, pid, duration_ms, dns_ms, connect_ms, first_byte_ms, ...line } = ok
    for (const ms of [duration_ms, dns_ms, connect_ms, first_byte_ms]) assert.ok(Number.isInteger(ms))
    assert.deepEqual(line, {
      level: 'info',
      role: 'processor',
      aggr_id: 'test',
      host,
      url: `http://${host}/good?…`,
      attempt: 1,
      of: 2,
      code: 'ok',
      status: 200,
      bytes: 4,
      tls_ms: 0,
      redirects: 0,
      mime_type: 'text/plain',
      msg: 'downloaded',
    })
    const failed = logs.filter(({ msg, code }) => msg === 'download failed' && code === 'connect.reset')
    assert.deepEqual(failed.map(({ attempt, of }) => [attempt, of]), [[1, 2], [2, 2]]) // biome-ignore format: a table
    assert.ok(Date.parse(String(failed[0]?.retry_at)) >= Date.parse(String(failed[0]?.time)))
    assert.equal(failed[1]?.retry_at, undefined)
    const delivered = service.role('notifier').logs.find(({ msg }) => msg === 'callback failed') ?? {}
    const { backend, attempt, of, code, download_code } = delivered
    assert.deepEqual([backend, attempt, of, code, download_code], ['http', 1, 1, 'receiver.status', 'connect.reset'])
  })

  it('shows the queries of URLs where it is told to, and no password even then', async () => {
    await using open = await startService({ roles: ['start'], config: { log: { url_queries: true } } })
    const url = `${origin.url.replace('http://', 'http://user:s3cr3t-url@')}/good?token=shown`
    await open.download({ url })
    await open.download({ url: url.replace('/good', '/bad') })
    for (const [msg, path] of [
      ['downloaded', '/good'],
      ['download failed', '/bad'],
    ] as const) {
      const line = await open.role('start').logged((line) => line.msg === msg)
      assert.equal(line.url, `${origin.url}${path}?token=shown`)
    }
    assert.ok(!JSON.stringify(open.role('start').logs).includes('s3cr3t'))
  })

  it('tells no secret', () => {
    const lines = service.roles.flatMap(({ logs }) => logs).map((line) => JSON.stringify(line))
    assert.deepEqual(
      lines.filter((line) => line.includes('s3cr3t')),
      [],
    )
    assert.ok(!told.join().includes('s3cr3t'))
  })

  it('says more after SIGUSR2, and after another one no more', async () => {
    const processor = service.role('processor')
    for (const level of ['info', 'debug', 'info']) {
      const before = processor.logs.length
      processor.child.kill('SIGUSR2') // the tests' own level is debug already
      await eventually(() =>
        assert.equal(processor.logs.slice(before).find(({ log_level }) => log_level)?.log_level, level),
      )
    }
  })

  it('answers nothing else on the port of a worker', async () => {
    assert.equal((await ask('processor', '/download')).status, 404)
    const posted = await fetch(`http://127.0.0.1:${ports.processor}/metrics`, { method: 'POST', body: '{}' })
    assert.deepEqual([posted.status, posted.headers.get('allow')], [405, 'GET, HEAD'])
  })

  it('tells for how long a job waits that nobody takes', async () => {
    await service.role('processor').end()
    await service.enqueue({ url: origin.url })
    await eventually(async () => {
      const [, wait] =
        /^downloader_oldest_wait_seconds{room="downloads"} (\S+)$/m.exec(await text(service.get('/metrics'))) ?? []
      assert.ok(Number(wait) > 0.2 && Number(wait) < 60, wait)
    })
    await service.add('processor')
  })

  it('is ready while Redis takes writes, and alive in any case', async () => {
    const roles = ['processor', 'notifier'] as const
    for (const role of roles) assert.equal((await ask(role, '/readyz')).status, 200)
    service.redis.pause()
    try {
      for (const role of roles) {
        const response = await ask(role, '/readyz')
        assert.equal(response.status, 503)
        assert.match(await response.text(), /^redis: does not answer\n(disk: ok\nfolders: ok|http: ok)\n$/)
        assert.equal((await ask(role, '/livez')).status, 200)
      }
      await eventually(async () => {
        const metrics = await text(service.get('/metrics'))
        assert.match(metrics, /^downloader_redis_silence_seconds (0\.\d+|[1-9].*)$/m)
        assert.doesNotMatch(metrics, /downloader_jobs/)
      })
    } finally {
      service.redis.resume()
    }
    for (const role of roles) await eventually(async () => assert.equal((await ask(role, '/readyz')).status, 200))
  })
})
