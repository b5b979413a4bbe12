import assert from 'node:assert/strict'
import type { DownloadRequest, DownloadResult } from '../../src/jobs/job.ts'
import { type Patch, packPatch, packRequest, unpackJob, unpackRequest } from '../../src/jobs/record.ts'

const least: DownloadRequest = { aggrId: 'group', aggrLimit: 1, url: 'http://origin.example/' }

const full: Required<DownloadRequest> = {
  aggrId: 'Ομάδα "a"\n\0',
  aggrLimit: 8,
  aggrProxy: 'http://proxy.example:3128',
  aggrRate: 0.5,
  aggrBurst: 3,
  url: 'http://origin.example/ü?a=b#c',
  callbackType: 'kafka',
  callbackDst: 'topic',
  callbackErrorType: 'sqs',
  callbackErrorDst: 'https://sqs.example/1/queue',
  extra: '{"a":"👩‍👩‍👧"}',
  mimeType: '!image/gif,image/*',
  maxRetries: 0,
  extractImageSize: false,
  checksum: 'sha256:e3b0',
  maxBytes: 1_000_000,
  maxPixels: 25_000_000,
  downloadTimeoutS: 30,
  requestHeaders: { Accept: 'image/*', 'X-Empty': '' },
  s3Bucket: 'bucket',
  s3Region: 'eu-west-1',
  subpath: 'shop/images',
  priority: 9,
  notBeforeMs: 1_800_000_000_000,
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
}

const result: DownloadResult = {
  success: true,
  error: '',
  errorCode: '',
  responseCode: 200,
  imageSize: '2x2',
  size: 79,
  sha256: 'e3b0',
  mimeType: 'image/png',
  path: 'abc/abcdefghijklmn',
}

describe('the record of a job', () => {
  it('gives back the request as it was', () => {
    for (const request of [least, full]) assert.deepEqual(unpackRequest(packRequest(request)), request)
  })

  it('keeps nothing of what was not asked for', () => {
    assert.equal(packRequest({ ...least, extra: undefined }), '{"a":"group","l":1,"u":"http://origin.example/"}')
  })

  it('reads fields that a later version has written, and drops them', () => {
    const text = packRequest(least).replace('{', '{"zz":[1],')
    assert.deepEqual(unpackRequest(text), least)
  })

  it('begins with nothing done', () => {
    assert.deepEqual(unpackJob('AAAAAAAAAAAAAA', packRequest(least), []), {
      id: 'AAAAAAAAAAAAAA',
      request: least,
      attempts: 0,
      throttles: 0,
      deliveries: 0,
      deletions: 0,
      handled: false,
      stalls: 0,
      result: undefined,
      storage: undefined,
      deliveryError: '',
      failures: [],
      downloaded: undefined,
      delivered: undefined,
      receivedBytes: 0,
      cancelled: false,
      createdMs: 0,
    })
  })

  it('gives back what patches wrote', () => {
    const patch: Required<Patch> = {
      attempts: 3,
      throttles: 2,
      deliveries: 2,
      deletions: 1,
      result,
      storage: 'files',
      deliveryError: 'no "answer"\n',
      failures: [
        { step: 'download', code: 'http.503', atMs: 1_700_000_000_001, durationMs: 12 },
        { step: 'callback', code: 'receiver.status', atMs: 1_700_000_000_002, durationMs: 0 },
      ],
      downloaded: { atMs: 1_700_000_000_003, durationMs: 34 },
      delivered: { atMs: 1_700_000_000_004, durationMs: 0 },
      receivedBytes: 5,
      cancelled: true,
      tags: ['of:cats'],
    }
    const flat = [...packPatch(patch), 'stalls', '2', 'created', '1700000000000', 'settled', 'token:1']
    const { tags: _, ...known } = patch // only the queue reads them
    assert.deepEqual(unpackJob('AAAAAAAAAAAAAA', null, flat), {
      id: 'AAAAAAAAAAAAAA',
      request: undefined,
      ...known,
      handled: true,
      stalls: 2,
      createdMs: 1_700_000_000_000,
    })
  })

  it('writes only what a patch changes, zero and the empty text included', () => {
    assert.deepEqual(packPatch({}), [])
    assert.deepEqual(packPatch({ deliveries: 0, deliveryError: '' }), ['deliveries', '0', 'delivery_error', ''])
  })
})
