import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import {
  CreateBucketCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3'
import { callerBuckets } from '../../src/storage/caller-buckets.ts'
import { s3Storage } from '../../src/storage/s3.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { storageConformance, tempFile } from '../conformance/storage.ts'
import { startAws } from '../support/aws.ts'
import { type S3Server, s3Error, startS3Server } from '../support/s3-server.ts'

const never = () => new AbortController().signal
const MIB = 1024 * 1024
const options = { mimeType: 'image/png', confirm: () => {} }

describe('the S3 storage', () => {
  let aws: Awaited<ReturnType<typeof startAws>>
  let client: S3Client
  let tempDir: string

  before(async () => {
    aws = await startAws()
    client = new S3Client({ endpoint: aws.endpoint, region: aws.region, forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: 'files' }))
    await client.send(new CreateBucketCommand({ Bucket: 'theirs' }))
    tempDir = await mkdtemp(path.join(os.tmpdir(), 's3-'))
  })
  after(async () => {
    client.destroy()
    await aws[Symbol.asyncDispose]()
    await rm(tempDir, { recursive: true })
  })

  const config = () => ({
    bucket: 'files',
    region: aws.region,
    endpoint: aws.endpoint,
    force_path_style: true,
    checksum: 'crc32' as const,
  })
  const head = (bucket: string, key: string) => client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))

  for (const [what, partBytes, largeBytes] of [
    ['in one piece', 64 * MIB, 9 * MIB + 17], // the look-alike takes no more at once
    ['in parts', 5 * MIB, 13 * MIB + 17],
  ] as const) {
    describe(what, () => {
      let storage: Storage
      before(() => {
        storage = s3Storage({ ...config(), partBytes })
      })
      after(() => storage.close())

      storageConformance(() => ({
        storage,
        tempDir,
        largeBytes,
        async read(key) {
          const object = await client.send(new GetObjectCommand({ Bucket: 'files', Key: key })).catch(() => undefined)
          return object?.Body && Buffer.from(await object.Body.transformToByteArray())
        },
        async list() {
          const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: 'files' }))
          return Contents.map(({ Key }) => Key ?? '')
        },
      }))

      it('gives the object its type and metadata', async () => {
        await using file = await tempFile(tempDir, Buffer.alloc(6 * MIB))
        await storage.put(file, 'typ/typed', { ...options, metadata: { shop: '7' } }, never())
        const { ContentType, Metadata } = await head('files', 'typ/typed')
        assert.deepEqual([ContentType, Metadata], ['image/png', { shop: '7' }])
      })
    })
  }

  it('is named after its region and bucket, so that deletions find it', () => {
    assert.equal(s3Storage(config()).name, `s3:${aws.region}/files`)
  })

  it("stores in a caller's own bucket", async () => {
    const buckets = callerBuckets({ type: 's3', ...config() })
    await using file = await tempFile(tempDir, Buffer.from('theirs'))
    const where = { bucket: 'theirs', region: aws.region }
    await buckets.put(where, file, 'abc/abc1', { ...options, metadata: { a: 'b' } }, never())
    assert.deepEqual((await head('theirs', 'abc/abc1')).Metadata, { a: 'b' })
    await buckets.close()
  })

  it("finds callers' buckets where the environment says that S3 is", async () => {
    process.env.AWS_ENDPOINT_URL_S3 = aws.endpoint
    try {
      const buckets = callerBuckets({ type: 'filesystem', rootdir: tempDir })
      await using file = await tempFile(tempDir, Buffer.from('theirs'))
      await buckets.put({ bucket: 'theirs', region: aws.region }, file, 'env/env1', options, never())
      assert.equal((await head('theirs', 'env/env1')).ContentLength, 6)
      await buckets.close()
    } finally {
      delete process.env.AWS_ENDPOINT_URL_S3
    }
  })

  it('says that a bucket does not exist, for good', async () => {
    const storage = s3Storage({ ...config(), bucket: 'absent-bucket' })
    await using file = await tempFile(tempDir, Buffer.from('x'))
    await assert.rejects(storage.put(file, 'a/b', options, never()), {
      code: 'storage.not_found',
      retriable: false,
      message: /absent-bucket.*NoSuchBucket/,
    })
    await storage.close()
  })
})

describe('the S3 storage in trouble', () => {
  let server: S3Server
  let storage: Storage
  let tempDir: string

  beforeEach(async () => {
    process.env.AWS_ACCESS_KEY_ID ??= 'test'
    process.env.AWS_SECRET_ACCESS_KEY ??= 'test'
    server = await startS3Server()
    tempDir = await mkdtemp(path.join(os.tmpdir(), 's3-'))
    storage = s3Storage(config())
  })
  afterEach(async () => {
    await storage.close()
    await server[Symbol.asyncDispose]()
    await rm(tempDir, { recursive: true })
  })

  const config = () => ({
    bucket: 'bucket',
    region: 'eu-west-1',
    endpoint: server.endpoint,
    force_path_style: true,
    checksum: 'crc32' as const,
  })

  async function put(more: Partial<Parameters<Storage['put']>[2]> = {}, signal = never(), crc32?: number) {
    await using file = await tempFile(tempDir, Buffer.from('content'))
    if (crc32 !== undefined) file.crc32 = crc32
    await storage.put(file, 'abc/abc1', { ...options, ...more }, signal)
  }

  it('sends the body plain, with its length and checksum', async () => {
    await put()
    const [request] = server.requests
    assert.equal(String(request?.body), 'content')
    assert.equal(request?.headers['content-length'], '7')
    assert.ok(request?.headers['x-amz-checksum-crc32'])
    assert.equal(request?.headers['content-encoding'], undefined)
  })

  it('sends no checksum to look-alikes that know none', async () => {
    const plain = s3Storage({ ...config(), checksum: 'none' })
    await using file = await tempFile(tempDir, Buffer.from('content'))
    await plain.put(file, 'abc/abc1', options, never())
    assert.deepEqual(
      Object.keys(server.requests[0]?.headers ?? {}).filter((name) => name.includes('checksum')),
      [],
    )
    await plain.close()
  })

  it('is well while S3 answers who we are, also when we may not list', async () => {
    await storage.probe?.(never())
    server.interfere = (_request, response) => s3Error(response, 403, 'AccessDenied')
    await storage.probe?.(never())
    for (const [status, name] of [
      [403, 'InvalidAccessKeyId'],
      [404, 'NoSuchBucket'],
      [301, 'PermanentRedirect'],
    ] as const) {
      server.interfere = (_request, response) => s3Error(response, status, name)
      await assert.rejects(storage.probe?.(never()) ?? Promise.resolve(), new RegExp(name))
    }
  })

  it('tries again by itself when S3 wants it slower, with the whole body', async () => {
    server.interfere = (_request, response) => server.requests.length < 3 && s3Error(response, 503, 'SlowDown')
    await put()
    assert.equal(server.requests.length, 3)
    assert.equal(String(server.objects.get('/bucket/abc/abc1')), 'content')
  })

  it('gives up for now when S3 stays busy', async () => {
    server.interfere = (_request, response) => s3Error(response, 503, 'SlowDown')
    await assert.rejects(put(), { code: 'storage.failed', retriable: true, message: /503 SlowDown/ })
  })

  const final: [number, string, string][] = [
    [403, 'AccessDenied', 'storage.denied'],
    [404, 'NoSuchBucket', 'storage.not_found'],
    [301, 'PermanentRedirect', 'storage.not_found'],
    [400, 'AuthorizationHeaderMalformed', 'storage.not_found'],
    [400, 'InvalidRequest', 'storage.denied'],
  ]
  for (const [status, name, code] of final) {
    it(`takes ${status} ${name} for final`, async () => {
      server.interfere = (_request, response) => s3Error(response, status, name)
      await assert.rejects(put(), { code, retriable: false, message: /bucket in eu-west-1/ })
      assert.equal(server.requests.length, 1)
    })
  }

  it('lets a connection that is cut, and a server that is away, be tried again', async () => {
    server.interfere = (_request, response) => {
      response.destroy()
      return true
    }
    await assert.rejects(put(), { code: 'storage.failed', retriable: true })
    await server[Symbol.asyncDispose]()
    await assert.rejects(put(), { code: 'storage.failed', retriable: true, message: /could not be reached/ })
  })

  it('notices that what arrived is not what was sent', async () => {
    await assert.rejects(put({}, never(), 12345), { code: 'storage.failed', retriable: true, message: /BadDigest/ })
    assert.equal(server.objects.size, 0)
  })

  it('stops at once when it is told to, with the reason', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    server.interfere = () => {
      controller.abort(reason)
      return true // and never answers
    }
    await assert.rejects(put({}, controller.signal), (error) => error === reason)
  })

  it('stops at once in the middle of a large body, too', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    server.interfere = () => {
      controller.abort(reason)
      return true
    }
    await using file = await tempFile(tempDir, Buffer.alloc(10 * MIB))
    await assert.rejects(storage.put(file, 'abc/abc1', options, controller.signal), (error) => error === reason)
  })

  it('lets go of those who wait for their turn when they are told to stop', async () => {
    const reason = new Error('enough')
    const controllers = Array.from({ length: 32 }, () => new AbortController())
    const controller = new AbortController()
    await using file = await tempFile(tempDir, Buffer.from('content'))
    const full = new Promise<void>((resolve) => {
      server.interfere = () => {
        if (server.requests.length === 32) resolve()
        return true // and never answers
      }
    })
    const others = controllers.map(({ signal }) => put({}, signal))
    await full
    const waiting = storage.put(file, 'abc/abc2', options, controller.signal)
    controller.abort(reason)
    await assert.rejects(waiting, (error) => error === reason)
    for (const other of controllers) other.abort(reason)
    for (const end of await Promise.allSettled(others)) assert.equal(end.status === 'rejected' && end.reason, reason)
    assert.equal(server.requests.length, 32)
  })

  it('waits for no server that falls silent', async () => {
    const impatient = s3Storage({ ...config(), silenceMs: 100 })
    server.interfere = () => true // and never answers
    await using file = await tempFile(tempDir, Buffer.from('content'))
    await assert.rejects(impatient.put(file, 'abc/abc1', options, never()), {
      code: 'storage.failed',
      retriable: true,
      message: /could not be reached \(TimeoutError\)/,
    })
    await impatient.close()
  })

  it('waits for no credentials that do not come', async () => {
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env
    delete process.env.AWS_ACCESS_KEY_ID
    delete process.env.AWS_SECRET_ACCESS_KEY
    process.env.AWS_CONFIG_FILE = path.join(tempDir, 'config')
    await writeFile(process.env.AWS_CONFIG_FILE, '[default]\ncredential_process = sleep 2\n')
    try {
      const impatient = s3Storage({ ...config(), silenceMs: 50 })
      await using file = await tempFile(tempDir, Buffer.from('content'))
      await assert.rejects(impatient.put(file, 'abc/abc1', options, never()), { message: /\(TimeoutError\)/ })
      assert.deepEqual(server.requests, [])
    } finally {
      Object.assign(process.env, { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY })
      delete process.env.AWS_CONFIG_FILE
    }
  })

  for (const [what, partBytes] of [
    ['in one piece', 7],
    ['in parts', 3],
  ] as const) {
    const broken: [string, (file: string) => Promise<void>, RegExp][] = [
      ['cannot be read', (file) => rm(file).then(() => mkdir(file)), /the temporary file could not be read: EISDIR/],
      ['is gone', (file) => rm(file), /the temporary file could not be read: ENOENT/],
      ['is too short', (file) => truncate(file, 5), /the temporary file could not be read: it is too short/],
      ['is another', (file) => writeFile(file, 'CONTENT'), /BadDigest|it is not what was downloaded/],
    ]
    for (const [how, breakFile, message] of broken) {
      it(`stores no temporary file that ${how}, ${what}`, async () => {
        const other = s3Storage({ ...config(), partBytes })
        await using file = await tempFile(tempDir, Buffer.from('content'))
        await breakFile(file.path)
        await assert.rejects(other.put(file, 'abc/abc1', options, never()), {
          code: 'storage.failed',
          retriable: true,
          message,
        })
        assert.equal(server.objects.size, 0)
        assert.equal(server.uploads.size, 0)
        await other.close()
      })
    }
  }

  it('deletes, and says when it cannot', async () => {
    await put()
    await storage.delete('abc/abc1', never())
    assert.equal(server.objects.size, 0)
    server.interfere = (_request, response) => s3Error(response, 403, 'AccessDenied')
    await assert.rejects(storage.delete('abc/abc1', never()), { code: 'storage.denied' })
  })

  it('keeps quiet on the console', async () => {
    const { warn } = console
    const said: unknown[] = []
    console.warn = (...words) => said.push(words)
    try {
      server.interfere = (_request, response) => s3Error(response, 403, 'AccessDenied')
      await assert.rejects(put())
    } finally {
      console.warn = warn
    }
    assert.deepEqual(said, [])
  })

  describe('with a file in parts', () => {
    const content = randomBytes(2 * MIB + 5) // two parts, and the rest
    let inParts: Storage
    beforeEach(() => {
      inParts = s3Storage({ ...config(), partBytes: MIB })
    })
    afterEach(() => inParts.close())

    async function putLarge(confirm = () => {}, signal = never()) {
      await using file = await tempFile(tempDir, content)
      await inParts.put(file, 'big/big1', { ...options, confirm }, signal)
    }
    const partsSent = () => server.requests.map(({ query }) => query.get('partNumber')).filter((part) => part !== null)

    it('sends again only the part that failed', async () => {
      let failed = false
      server.interfere = ({ query }, response) => {
        if (failed || query.get('partNumber') !== '2') return false
        failed = true
        return s3Error(response, 503, 'SlowDown')
      }
      await putLarge()
      assert.deepEqual(partsSent().sort(), ['1', '2', '2', '3'])
      assert.ok(server.objects.get('/bucket/big/big1')?.equals(content))
      assert.equal(String(server.requests.at(-1)?.body).match(/<ChecksumCRC32>/g)?.length, 3)
      assert.ok(
        server.requests.every(({ query, headers }) => !query.has('partNumber') || headers['x-amz-checksum-crc32']),
      )
      assert.equal(server.uploads.size, 0)
    })

    it('takes its parts away when it is refused', async () => {
      server.interfere = ({ query }, response) =>
        query.get('partNumber') === '2' && s3Error(response, 403, 'AccessDenied')
      await assert.rejects(putLarge(), { code: 'storage.denied', retriable: false })
      assert.equal(server.uploads.size, 0)
      assert.equal(server.objects.size, 0)
    })

    it('takes its parts away when it is told to stop, before it says so', async () => {
      const controller = new AbortController()
      const reason = new Error('enough')
      server.interfere = ({ query }) => {
        if (query.get('partNumber') !== '2') return false
        assert.equal(server.uploads.size, 1)
        controller.abort(reason)
        return true // and never answers
      }
      await assert.rejects(putLarge(undefined, controller.signal), (error) => error === reason)
      assert.equal(server.uploads.size, 0)
    })

    it('takes its upload away when it is told to stop while that begins', async () => {
      const controller = new AbortController()
      const reason = new Error('enough')
      server.interfere = ({ query }) => {
        if (query.has('uploads')) controller.abort(reason)
        return false
      }
      await assert.rejects(putLarge(undefined, controller.signal), (error) => error === reason)
      assert.deepEqual(
        server.requests.map(({ method }) => method),
        ['POST', 'DELETE'],
      )
      assert.equal(server.uploads.size, 0)
    })

    it('asks once more whether the claim holds when all parts are there', async () => {
      const lost = new Error('lost')
      const sent: number[] = []
      const confirm = () => {
        sent.push(partsSent().length)
        if (sent.length === 2) throw lost
      }
      await assert.rejects(putLarge(confirm), (error) => error === lost)
      assert.deepEqual(sent, [0, 3])
      assert.equal(server.uploads.size, 0)
      assert.equal(server.objects.size, 0)
    })
  })

  it("takes no odd name for a caller's bucket", async () => {
    const buckets = callerBuckets({ type: 's3', ...config() })
    await using file = await tempFile(tempDir, Buffer.from('x'))
    for (const [bucket, region] of [
      ['..', 'eu-west-1'],
      ['a/b', 'eu-west-1'],
      ['bucket?x', 'eu-west-1'],
      ['bucket', 'x@127.0.0.1'],
      ['bucket', '127.0.0.1/#'],
      ['bucket', '-x-'],
      ['arn:aws:s3:eu-west-1:123456789012:accesspoint/x', 'eu-west-1'], // not with the bucket in the path
    ] as const) {
      await assert.rejects(buckets.put({ bucket, region }, file, 'abc/abc1', options, never()), {
        code: 'storage.not_found',
        retriable: false,
      })
    }
    assert.deepEqual(server.requests, [])
    await buckets.close()
  })
})
