import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, statfs, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { freePort } from '../support/redis.ts'
import { type Service, startService } from '../support/service.ts'

/** All files below a folder, by their paths in it. */
async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(dir, path.join(parentPath, name)))
    .sort()
}

describe('the files', () => {
  let origin: Origin
  before(async () => {
    origin = await startOrigin()
  })
  after(() => origin[Symbol.asyncDispose]())

  /** A path that sends the first bytes, and the rest when `finish` is called. */
  function half(name: string) {
    let finish: () => void = () => {}
    const url = origin.on(name, (_request, response) => {
      response.write('x'.repeat(300_000))
      finish = () => response.end('the rest')
    })
    return { url, finish: () => finish(), size: 300_008 }
  }

  const temporary = (id: string) => new RegExp(`^${id}\\.[^/]+\\.tmp$`)

  describe('under the root', () => {
    let service: Service
    before(async () => {
      service = await startService({ roles: ['start'], config: { processor: { max_retries: 0 } } })
    })
    after(() => service[Symbol.asyncDispose]())

    it('appear when they are whole; until then they lie in storage_dir, under a name of their own', async () => {
      const { url, finish, size } = half('/half')
      const id = await service.enqueue({ url })
      const [name = ''] = await eventually(async () => {
        const names = await readdir(service.tempDir)
        assert.equal(names.length, 1)
        return names
      })
      assert.match(name, temporary(id))
      assert.equal(existsSync(path.join(service.root, id.slice(0, 3), id)), false)
      finish()
      assert.equal((await service.receiver.callbackOf(id)).size, size)
      assert.deepEqual(await readdir(service.tempDir), [])
      assert.equal((await readFile(path.join(service.root, id.slice(0, 3), id))).length, size)
    })

    for (const [subpath, folder] of [
      ['one/two', 'one/two/'],
      ['/around/', 'around/'],
      ['ü ~$(x)', 'ü ~$(x)/'],
      ['...', '.../'],
      ['', ''],
    ] as const) {
      it(`lie in the folder that subpath names: ${JSON.stringify(subpath)}`, async () => {
        const { job_id: id } = await service.download({ url: origin.on('/file', 'content'), subpath })
        assert.equal(await readFile(path.join(service.root, folder, id.slice(0, 3), id), 'utf8'), 'content')
      })
    }

    it('are none where the download has failed, however it did', async () => {
      const before = await filesIn(service.root)
      origin.on('/cut', (_request, response) => {
        response.writeHead(200, { 'content-length': 500_000 }).write('x'.repeat(400_000), () => response.destroy())
      })
      const stopped = half('/stopped')
      for (const job of [
        { url: `${origin.url}/absent` },
        { url: `${origin.url}/cut` },
        { url: origin.on('/file', 'content'), mime_type: 'image/*' },
        { url: stopped.url, download_timeout: 1 },
      ]) {
        assert.equal((await service.download(job)).success, false)
      }
      assert.deepEqual(await filesIn(service.root), before)
      assert.deepEqual(await readdir(service.tempDir), [])
    })
  })

  it('of a processor that was killed are removed by the next one, and no others', async () => {
    await using service = await startService({ config: { processor: { lease_ms: 60_000 } } })
    const { url } = half('/killed')
    const id = await service.enqueue({ url })
    await eventually(async () => assert.equal((await readdir(service.tempDir)).length, 1))
    const foreign = [
      'notes.txt',
      'upload.tmp',
      `${id}.tmp`,
      `${id}.part`,
      `${id}.other-service.tmp`,
      `${id}.abcd-1-abcd.tmp`,
      `${id}.0badcafe-1-0badcafe-1.tmp`, // of another host, whose process may live
      '.hidden.tmp',
    ]
    for (const name of foreign) await writeFile(path.join(service.tempDir, name), 'not ours')
    await mkdir(path.join(service.tempDir, 'folder.tmp'))

    // one that lives keeps its own
    await service.add('processor')
    await service.download({ url: origin.on('/file', 'content'), aggr_id: 'other' })
    assert.equal((await readdir(service.tempDir)).length, foreign.length + 2)

    await service.role('processor').end('SIGKILL')
    assert.equal((await readdir(service.tempDir)).length, foreign.length + 2)
    await service.add('processor')
    await eventually(async () => {
      assert.deepEqual((await readdir(service.tempDir)).sort(), [...foreign, 'folder.tmp'].sort())
    })
  })

  it('go with their job when it fails after all: one attempt stored it, died before it could say so, the next failed', async () => {
    await using service = await startService({
      config: { processor: { lease_ms: 2000, max_retries: 0 }, notifier: { deletion_interval: 0 } },
    })
    const { url, finish } = half('/stored')
    const id = await service.enqueue({ url, subpath: 'orphan' })
    await eventually(async () => assert.equal((await readdir(service.tempDir)).length, 1))
    service.redis.pause() // the settle does not get through
    finish()
    const file = `orphan/${id.slice(0, 3)}/${id}`
    await eventually(() => assert.ok(existsSync(path.join(service.root, file))))
    await service.role('processor').end('SIGKILL')
    service.redis.resume()
    origin.on('/stored', (_request, response) => void response.writeHead(404).end())
    await service.add('processor')
    assert.equal((await service.receiver.callbackOf(id)).error_code, 'http.404')
    await eventually(async () => assert.deepEqual(await filesIn(service.root), []))
  })

  it('are stored also where storage_dir was removed; a storage_dir that is none fails them by name', async () => {
    await using service = await startService({ roles: ['start'], config: { processor: { max_retries: 0 } } })
    await service.download({ url: origin.on('/file', 'content') })
    for (const url of [origin.on('/small', 'content'), origin.on('/large', 'x'.repeat(600_000))]) {
      await rm(service.tempDir, { recursive: true })
      assert.equal((await service.download({ url })).error, '')
      await rm(service.tempDir, { recursive: true })
      await writeFile(service.tempDir, 'no folder')
      const { error, error_code } = await service.download({ url })
      assert.equal(error_code, 'storage.failed')
      assert.match(error, /could not be (written|stored): ENOTDIR/)
      await rm(service.tempDir)
      await mkdir(service.tempDir)
    }
  })

  it('are under storage_dir where that is all there is, which is deprecated', async () => {
    await using service = await startService({
      roles: ['start'],
      config: { processor: { filestorage: undefined, download_url: undefined } },
    })
    const { logged } = service.role('start')
    const { level } = await logged(({ msg }) => /processor\.storage_dir .* deprecated/.test(String(msg)))
    assert.equal(level, 'warn')
    await logged(({ msg, level }) => level === 'warn' && /download_url has no value/.test(String(msg)))
    const { job_id: id, download_url } = await service.download({ url: origin.on('/file', 'content') })
    assert.deepEqual(await filesIn(service.tempDir), [path.join(id.slice(0, 3), id)])
    assert.equal(download_url, '')
  })

  it('pass from one filesystem to another without a half one under the root', async () => {
    const elsewhere = await mkdtemp('/dev/shm/downloader-')
    try {
      await using service = await startService({ roles: ['start'], config: { processor: { storage_dir: elsewhere } } })
      const { url, finish, size } = half('/across')
      const id = await service.enqueue({ url, subpath: 'far' })
      await eventually(async () => assert.equal((await readdir(elsewhere)).length, 1))
      finish()
      assert.equal((await service.receiver.callbackOf(id)).size, size)
      assert.deepEqual(await readdir(elsewhere), [])
      assert.deepEqual(await filesIn(service.root), [`far/${id.slice(0, 3)}/${id}`])
    } finally {
      await rm(elsewhere, { recursive: true, force: true })
    }
  })

  it('are not begun above disk_high, and are again below disk_low', async () => {
    const BALLAST = 16 * 2 ** 20
    const dir = await mkdtemp('/dev/shm/downloader-')
    const ballast = path.join(dir, 'ballast')
    try {
      const { blocks, bfree, bsize } = await statfs(dir)
      const percent = (bytes: number) => (bytes / (blocks * bsize)) * 100
      const used = percent((blocks - bfree) * bsize)
      const metrics_port = await freePort()
      await using service = await startService({
        config: {
          processor: {
            metrics_port,
            storage_dir: path.join(dir, 'tmp'),
            filestorage: { type: 'filesystem', rootdir: path.join(dir, 'files') },
            disk_high: used + percent(BALLAST * 0.75),
            disk_low: used + percent(BALLAST * 0.5),
          },
        },
      })
      const url = origin.on('/small', 'content')
      /** What the processor tells Prometheus and load balancers. */
      const told = async () => {
        const [metrics, ready] = await Promise.all(
          ['metrics', 'readyz'].map((name) => fetch(`http://127.0.0.1:${metrics_port}/${name}`)),
        )
        const full = /^downloader_disk_full (\d)$/m.exec((await metrics?.text()) ?? '')?.[1]
        return [full, ready?.status, /^disk: ok$/m.test((await ready?.text()) ?? '')]
      }
      await service.download({ url })
      assert.deepEqual(await told(), ['0', 200, true])
      await writeFile(ballast, Buffer.alloc(BALLAST, 'x'))
      const processor = service.role('processor')
      await processor.logged(({ msg }) => /disk is nearly full/.test(String(msg)))
      assert.deepEqual(await told(), ['1', 503, false])
      const id = await service.enqueue({ url })
      await delay(200) // an idle worker would begin at once
      assert.deepEqual(await (await service.get('/dashboard/aggregations')).json(), [{ name: 'jobs:test', size: 1 }])
      await rm(ballast)
      await processor.logged(({ msg }) => /disk has room again/.test(String(msg)))
      assert.equal((await service.receiver.callbackOf(id)).success, true)
      assert.deepEqual(await told(), ['0', 200, true])
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })

  it('are not begun on a disk that is above disk_high at the start', async () => {
    await using service = await startService({ config: { processor: { disk_high: 0, disk_low: 0 } } })
    const id = await service.enqueue({ url: origin.on('/none', 'content') })
    const { level } = await service.role('processor').logged(({ msg }) => /disk is nearly full/.test(String(msg)))
    assert.equal(level, 'error')
    await eventually(async () => {
      const why = (await (await service.get(`/jobs/${id}/why`)).json()) as { code: string }
      assert.equal(why.code, 'disk_full')
    })
    await delay(200) // an idle worker would begin at once
    assert.ok(!origin.requests.some(({ url }) => url === '/none'))
    assert.ok(!service.receiver.received.some(({ callback }) => callback.job_id === id))
  })
})
