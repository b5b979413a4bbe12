import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { Callback } from '../../src/jobs/callback.ts'
import { errorCodes } from '../../src/jobs/errors.ts'
import { eventually } from '../support/eventually.ts'
import {
  answers,
  demands,
  names,
  others,
  receivers,
  refusals,
  startWorld,
  type World,
} from '../support/hostile-world.ts'
import { localDns } from '../support/local-dns.ts'
import { type Service, startService } from '../support/service.ts'

/** Everything that can go wrong, at once, in one service. */
describe('a fault has a code:', () => {
  const callbacks = new Map<string, Promise<Callback>>()
  const deliveries = new Map<string, Promise<Record<string, unknown>>>()
  const putOff = new Map<string, Promise<Record<string, unknown>>>()
  let world: World
  let service: Service

  before(async function () {
    this.timeout(30_000)
    world = await startWorld()
    service = await startService({
      env: {
        NODE_OPTIONS: localDns(world.dns),
        NODE_EXTRA_CA_CERTS: world.caFile,
        AWS_ENDPOINT_URL_S3: world.s3,
        AWS_ACCESS_KEY_ID: 'test',
        AWS_SECRET_ACCESS_KEY: 'test',
      },
      config: {
        processor: {
          max_retries: 0,
          connect_timeout_ms: 5000,
          headers_timeout_ms: 5000,
          stall_timeout_ms: 5000,
          min_speed_window_s: 2,
        },
        notifier: { max_retries: 0 },
        backends: { http: { timeout: 5 }, sqs: { region: 'eu-west-1', endpoint: world.sqs } },
      },
    })
    await mkdir(service.root, { recursive: true })
    await writeFile(path.join(service.root, 'blocked'), 'a file where a folder should be')

    const { raw } = world
    for (const [index, [what]] of answers.entries()) await download(what, { url: `${raw}/${index}` })
    for (const [index, [what]] of refusals.entries()) {
      // by another name: what is put off is the host, with all of its jobs
      const url = `http://localhost:${new URL(raw).port}/${answers.length + index}`
      const id = await service.enqueue({ aggr_id: what, url })
      putOff.set(
        what,
        awaitedLater(service.role('processor').logged(({ job_id, code }) => job_id === id && code !== undefined)),
      )
    }
    for (const [what, , job] of demands) await download(what, { url: raw, ...job })
    for (const [what, , host] of names) await download(what, { url: `http://${host}:${new URL(raw).port}/` })
    for (const [what, , jobOf] of others) await download(what, jobOf(world))
    for (const [what, , jobOf] of receivers) {
      const id = await service.enqueue({ aggr_id: what, url: raw, ...jobOf(world) })
      deliveries.set(what, awaitedLater(failedDelivery(id)))
    }
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await world[Symbol.asyncDispose]()
  })

  async function download(what: string, job: Record<string, unknown>): Promise<void> {
    const id = await service.enqueue({ aggr_id: what, ...job })
    callbacks.set(what, awaitedLater(service.receiver.callbackOf(id, 30_000)))
  }

  /** Each test awaits its own; until then nobody is to complain. */
  function awaitedLater<T>(promise: Promise<T>): Promise<T> {
    promise.catch(() => {})
    return promise
  }

  const failedDelivery = (id: string) =>
    service.role('notifier').logged(({ msg, job_id }) => msg === 'callback failed' && job_id === id)

  const faults = [...answers, ...demands, ...names, ...others]
  for (const [what, code] of faults) {
    it(`${what}: ${code}`, async () => {
      const callback = await callbacks.get(what)
      assert.ok(callback)
      const { success, error, error_code, sha256, timings } = callback
      assert.deepEqual({ success, error_code, sha256 }, { success: false, error_code: code, sha256: '' }, error)
      assert.equal(/^TLS Error Occured: ./.test(error), code.startsWith('tls.') || what === 'HTTP/2 only', error)
      assert.equal(error.includes('unexpected EOF'), code === 'body.truncated', error)
      assert.equal(error.includes('mime-type'), code === 'mime.mismatch', error)
      assert.ok(error.length > 10 && timings.total >= 0, error)
    }).timeout(35_000)
  }

  for (const [what, code] of refusals) {
    it(`${what}: ${code}, and it is put off`, async () => {
      const line = await putOff.get(what)
      assert.deepEqual([line?.code, line?.msg], [code, 'download put off'])
    }).timeout(35_000)
  }

  for (const [what, code] of receivers) {
    it(`${what}: ${code}`, async () => {
      assert.equal((await deliveries.get(what))?.code, code)
    }).timeout(35_000)
  }

  it('of the list, by which the metrics count it', async () => {
    const expected = new Map<string, number>()
    for (const [, code] of [...faults, ...refusals, ...receivers]) {
      const name = code === 'http.799' ? 'http.other' : code
      expected.set(name, (expected.get(name) ?? 0) + 1)
    }
    assert.ok(faults.length + refusals.length + receivers.length >= 80 && expected.size >= 45, `${expected.size} codes`)
    for (const code of expected.keys()) {
      assert.ok(code.startsWith('http.') || errorCodes.some((known) => known === code), code)
    }
    await eventually(async () => {
      const metrics = await (await service.get('/metrics')).text()
      const lines = metrics.matchAll(/^downloader_failures_total{process="[^"]+",code="([^"]+)"} (\d+)$/gm)
      const counted = [...lines].map(([, code = '', count]) => [code, Number(count)] as const)
      assert.deepEqual(counted.toSorted(), [...expected].toSorted())
    })
    const bugs = service.roles.flatMap(({ logs }) => logs).filter(({ msg }) => /bug/.test(String(msg)))
    assert.deepEqual(bugs, [])
  })
})
