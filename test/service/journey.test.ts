import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

describe("a job's journey, from POST to callback", () => {
  let service: Service
  let origin: Origin

  before(async () => {
    origin = await startOrigin()
    service = await startService()
  })
  after(async () => {
    await service[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  it('downloads, stores and calls back with every key', async () => {
    const url = origin.on('/picture', PNG)
    const id = await service.enqueue({ url, extra: 'foobar', mime_type: 'image/*', extract_image_size: true })
    const { timings, ...callback } = await service.receiver.callbackOf(id)
    assert.deepEqual(Object.keys(timings), ['dns', 'connect', 'tls', 'first_byte', 'total'])
    const place = `${id.slice(0, 3)}/${id}`
    assert.deepEqual(callback, {
      success: true,
      error: '',
      extra: 'foobar',
      resource_url: url,
      download_url: `http://files.test/base/${place}`,
      job_id: id,
      response_code: 200,
      image_size: '2x2',
      delivered: true,
      delivery_error: '',
      error_code: '',
      size: PNG.length,
      sha256: createHash('sha256').update(PNG).digest('hex'),
      mime_type: 'image/png',
      final_url: url,
      redirects: 0,
    })
    assert.deepEqual(await readFile(path.join(service.root, place)), PNG)
    assert.deepEqual(await readdir(service.tempDir), [])
  })

  it('reports a status of the origin with code and reason', async () => {
    const { success, error, error_code, response_code, download_url } = await service.download({
      url: `${origin.url}/nothing-here`,
    })
    assert.deepEqual(
      { success, error, error_code, response_code, download_url },
      {
        success: false,
        error: 'Received Status code 404 Not Found',
        error_code: 'http.404',
        response_code: 404,
        download_url: '',
      },
    )
  })

  it('stops at a wrong type before the rest is fetched', async () => {
    let sent = 0
    const url = origin.on('/endless-page', (_request, response) => {
      response.write('<!doctype html><title>x</title>')
      const timer = setInterval(() => {
        sent += 65_536
        response.write(Buffer.alloc(65_536, 'a'))
      }, 5)
      response.once('close', () => clearInterval(timer))
    })
    const callback = await service.download({ url, mime_type: 'image/jpeg' })
    assert.equal(callback.error, 'Expected mime-type to be (image/jpeg), found (text/html)')
    assert.equal(callback.error_code, 'mime.mismatch')
    assert.equal(callback.mime_type, 'text/html')
    assert.equal(callback.response_code, 200)
    assert.ok(sent < 5_000_000, `${sent} bytes were sent`)
  })

  it('deletes the file when the deletion interval is over', async () => {
    await using quick = await startService({ config: { notifier: { deletion_interval: 0 } }, roles: ['start'] })
    const callback = await quick.download({ url: origin.on('/short-lived', 'text') })
    assert.equal(callback.success, true)
    const { job_id: id } = callback
    await eventually(async () => {
      assert.equal(await quick.redis.cli('EXISTS', `{downloader}:state:${id}`, `{downloader}:request:${id}`), '0')
    })
    assert.equal(existsSync(path.join(quick.root, id.slice(0, 3), id)), false)
  })
})
