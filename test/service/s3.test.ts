import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { CreateBucketCommand, HeadObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'
import { startAws } from '../support/aws.ts'
import { eventually } from '../support/eventually.ts'
import { type Origin, startOrigin } from '../support/http-origin.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

/** What the SDK's default chain finds in the environment of the service. */
const credentials = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' }

describe('S3', () => {
  let aws: Awaited<ReturnType<typeof startAws>>
  let client: S3Client
  let origin: Origin

  before(async () => {
    origin = await startOrigin()
    aws = await startAws()
    client = new S3Client({ endpoint: aws.endpoint, region: aws.region, forcePathStyle: true })
    for (const Bucket of ['files', 'theirs']) await client.send(new CreateBucketCommand({ Bucket }))
  })
  after(async () => {
    client.destroy()
    await aws[Symbol.asyncDispose]()
    await origin[Symbol.asyncDispose]()
  })

  const keysIn = async (bucket: string) => {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }))
    return Contents.map(({ Key = '' }) => Key)
  }
  const head = (bucket: string, key: string) => client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
  const keyOf = (id: string) => `${id.slice(0, 3)}/${id}`
  const inRest = async ({ redis }: Service, reason: string) =>
    (await redis.cli('ZRANGE', `{downloader}:rest:${reason}`, '0', '-1')).split('\n')

  describe('as processor.filestorage', () => {
    let service: Service
    before(async () => {
      service = await startService({
        roles: ['start'],
        env: credentials,
        config: {
          processor: {
            filestorage: {
              type: 's3',
              bucket: 'files',
              region: aws.region,
              endpoint: aws.endpoint,
              force_path_style: true,
            },
          },
          notifier: { deletion_interval: 0.01 },
        },
      })
    })
    after(() => service[Symbol.asyncDispose]())

    it('holds the file at the path of its id, with its type, until it is deleted', async () => {
      let stored: Awaited<ReturnType<typeof head>> | undefined
      service.receiver.answer = ({ callback }, _request, response) => {
        void head('files', `a/b/${keyOf(callback.job_id)}`).then((object) => {
          stored = object
          response.end()
        })
        return undefined
      }
      const { success, download_url, job_id } = await service.download({ url: origin.on('/png', PNG), subpath: 'a/b' })
      assert.deepEqual([success, download_url], [true, `http://files.test/base/a/b/${keyOf(job_id)}`])
      await eventually(() => assert.notEqual(stored, undefined))
      assert.deepEqual([stored?.ContentLength, stored?.ContentType], [PNG.length, 'image/png'])
      await eventually(async () => assert.deepEqual(await keysIn('files'), []))
      await eventually(async () => assert.equal((await service.post(`/retry/${job_id}`)).status, 404))
      assert.deepEqual(await readdir(service.tempDir), [], 'storage_dir only passes files through')
    })

    it('is passed over by a job with a bucket of its own, which is never emptied', async () => {
      service.receiver.answer = () => 200
      const url = origin.on('/png', PNG)
      const { job_id, success, download_url } = await service.download({
        url,
        s3_bucket: 'theirs',
        s3_region: aws.region,
      })
      assert.deepEqual([success, download_url], [true, `http://files.test/base/${keyOf(job_id)}`])
      await eventually(async () => assert.equal((await service.post(`/retry/${job_id}`)).status, 404))
      assert.ok((await keysIn('theirs')).includes(keyOf(job_id)))
      assert.deepEqual(await keysIn('files'), [])
    })
  })

  describe("with a caller's own bucket, where the deployment keeps files on a disk,", () => {
    let service: Service
    const theirs = () => ({ s3_bucket: 'theirs', s3_region: aws.region })
    const withoutCallback = { callback_type: '', callback_dst: '' }

    before(async () => {
      service = await startService({
        roles: ['start'],
        env: { ...credentials, AWS_ENDPOINT_URL_S3: aws.endpoint },
        config: {
          processor: { max_retries: 0, rest_ttl_days: 1e-8 },
          notifier: { deletion_interval: 0, max_retries: 0 },
        },
      })
    })
    after(() => service[Symbol.asyncDispose]())

    for (const [extra, metadata] of [
      ['{"shop":"a b","count":7,"flag":true,"list":[1],"none":null}', { shop: 'a b', count: '7' }],
      ['not JSON', { extra: 'not JSON' }],
      ['["a"]', { extra: '["a"]' }],
      ['', {}],
    ] as const) {
      it(`the object has as metadata what extra holds: ${extra}`, async () => {
        const { job_id } = await service.download({ url: origin.on('/png', PNG), extra, ...theirs() })
        const { Metadata = {}, ContentType, ContentLength } = await head('theirs', keyOf(job_id))
        assert.deepEqual({ ...Metadata }, metadata)
        assert.deepEqual([ContentType, ContentLength], ['image/png', PNG.length])
      })
    }

    it('a job without a callback is at rest when its file is stored', async () => {
      const id = await service.enqueue({ url: origin.on('/png', PNG), ...theirs(), ...withoutCallback })
      await eventually(async () => assert.equal((await inRest(service, 'done')).includes(id), true))
      assert.ok((await keysIn('theirs')).includes(keyOf(id)))
      assert.deepEqual(await readdir(service.tempDir), [])
      assert.equal((await service.post(`/retry/${id}`)).status, 409)
      assert.equal(service.receiver.received.filter(({ callback }) => callback.job_id === id).length, 0)
    })

    it('a job without a callback is at rest when it has failed, and nothing is stored', async () => {
      const url = origin.on('/page', '<!doctype html><title>x</title>')
      const id = await service.enqueue({ url, mime_type: 'image/*', ...theirs(), ...withoutCallback })
      await eventually(async () => assert.equal((await inRest(service, 'failed')).includes(id), true))
      assert.ok(!(await keysIn('theirs')).includes(keyOf(id)))
    })

    it('a record at rest goes after rest_ttl_days, the object stays; a callback that failed waits on', async () => {
      service.receiver.answer = () => 500
      const failed = await service.enqueue({ url: origin.on('/png', PNG), ...theirs() })
      await eventually(async () => assert.equal((await inRest(service, 'callback-failed')).includes(failed), true))
      service.receiver.answer = () => 200
      const ids = [...(await inRest(service, 'done')), ...(await inRest(service, 'failed'))]
      assert.equal(ids.length, 2)
      await delay(1000) // their age is counted in whole seconds
      await service.add('processor') // which looks for them when it starts
      for (const id of ids) {
        await eventually(async () => assert.equal((await service.get(`/jobs/${id}`)).status, 404))
      }
      assert.ok((await keysIn('theirs')).includes(keyOf(ids[0] ?? '')))
      assert.equal((await service.post(`/retry/${failed}`)).status, 201)
    })

    it('a bucket that is not there fails the download, by name', async () => {
      const { success, error, error_code } = await service.download({
        url: origin.on('/png', PNG),
        s3_bucket: 'nobodys',
        s3_region: aws.region,
      })
      assert.deepEqual([success, error_code], [false, 'storage.not_found'])
      assert.match(error, /nobodys/)
    })
  })
})
