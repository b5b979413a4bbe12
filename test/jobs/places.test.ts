import assert from 'node:assert/strict'
import type { DownloadRequest, DownloadResult, Failure, Job } from '../../src/jobs/job.ts'
import {
  callbackTarget,
  firstPlace,
  nextPlace,
  type Outcome,
  type Place,
  receiverOf,
  restReasons,
} from '../../src/jobs/places.ts'

const request: DownloadRequest = {
  aggrId: 'cats',
  aggrLimit: 8,
  url: 'http://origin.example/',
  callbackType: 'http',
  callbackDst: 'https://Receiver.example/path?q=1',
}

const result = (success: boolean): DownloadResult => ({
  success,
  error: success ? '' : 'Received Status code 404 Not Found',
  errorCode: success ? '' : 'http.404',
  responseCode: success ? 200 : 404,
  imageSize: '',
  size: 0,
  sha256: '',
  mimeType: '',
  path: success ? 'AAA/AAAAAAAAAAAAAA' : undefined,
})

const failure = (i: number): Failure => ({ step: 'download', code: 'http.503', atMs: i, durationMs: 1 })

const jobWith = (fields: Partial<Job> = {}): Job => ({
  id: 'AAAAAAAAAAAAAA',
  request,
  attempts: 1,
  throttles: 0,
  deliveries: 2,
  deletions: 3,
  handled: true,
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
  ...fields,
})

const receiver = 'https://receiver.example:443'

describe('where a new job begins', () => {
  it('is the group of its aggregation, with its limit and its proxy', () => {
    const place = { kind: 'room', room: 'downloads', group: 'cats', limit: 8, gift: '' }
    assert.deepEqual(firstPlace(request), place)
    const proxy = 'http://proxy.example:3128'
    assert.deepEqual(firstPlace({ ...request, aggrProxy: proxy }), { ...place, gift: proxy })
  })
})

describe('where a job goes next', () => {
  const toCallbacks: Place = { kind: 'room', room: 'callbacks:http', group: receiver }
  const ended = { result: result(true), storage: 'files' }
  const toDeletions = (delayMs: number): Place & { kind: 'room' } => {
    return { kind: 'room', room: 'deletions:files', group: 'files', delayMs, shrink: true }
  }

  const moves: Record<string, { job?: Partial<Job>; outcome: Outcome; place: Place; patch: object }> = {
    'downloaded: it is called back': {
      outcome: { kind: 'downloaded', ...ended },
      place: toCallbacks,
      patch: { attempts: 2, ...ended },
    },
    'downloaded, which is remembered with its time': {
      outcome: { kind: 'downloaded', ...ended, ended: { atMs: 1, durationMs: 2 } },
      place: toCallbacks,
      patch: { attempts: 2, ...ended, downloaded: { atMs: 1, durationMs: 2 } },
    },
    'failed for good: it is called back, too': {
      outcome: { kind: 'downloaded', result: result(false), storage: 'files' },
      place: toCallbacks,
      patch: { attempts: 2, result: result(false), storage: 'files' },
    },
    'failed for good, by an origin that wants to be left alone: its group is held': {
      outcome: { kind: 'downloaded', result: result(false), storage: 'files', holdMs: 5000 },
      place: { ...toCallbacks, holdMs: 5000 },
      patch: { attempts: 2, result: result(false), storage: 'files' },
    },
    'failed, with a destination of its own for that': {
      job: { request: { ...request, callbackErrorType: 'kafka', callbackErrorDst: 'errors' } },
      outcome: { kind: 'downloaded', result: result(false), storage: 'files' },
      place: { kind: 'room', room: 'callbacks:kafka', group: 'errors' },
      patch: { attempts: 2, result: result(false), storage: 'files' },
    },
    'downloaded, with nobody to call back': {
      job: { request: { ...request, callbackType: undefined, callbackDst: undefined } },
      outcome: { kind: 'downloaded', ...ended },
      place: { kind: 'rest', reason: 'done' },
      patch: { attempts: 2, ...ended, tags: ['of:cats'] },
    },
    'failed, with nobody to call back': {
      job: { request: { ...request, callbackType: undefined, callbackDst: undefined } },
      outcome: { kind: 'downloaded', result: result(false), storage: 'files' },
      place: { kind: 'rest', reason: 'failed' },
      patch: { attempts: 2, result: result(false), storage: 'files', tags: ['of:cats', 'code:http.404'] },
    },
    'to be downloaded again': {
      outcome: { kind: 'download-retry', delayMs: 120_000 },
      place: { kind: 'again', delayMs: 120_000, holdMs: 0 },
      patch: { attempts: 2, receivedBytes: 0 },
    },
    'to be downloaded again, with its whole group held': {
      outcome: { kind: 'download-retry', delayMs: 5000, holdMs: 5000 },
      place: { kind: 'again', delayMs: 5000, holdMs: 5000 },
      patch: { attempts: 2, receivedBytes: 0 },
    },
    'delivered: what deletion and look-ups need stays until the file is deleted': {
      job: ended,
      outcome: { kind: 'delivered', deletionDelayMs: 10_800_000 },
      place: toDeletions(10_800_000),
      patch: { deliveries: 3, deliveryError: '' },
    },
    'delivered, which is remembered with its time': {
      job: ended,
      outcome: { kind: 'delivered', deletionDelayMs: 5, ended: { atMs: 3, durationMs: 4 } },
      place: toDeletions(5),
      patch: { deliveries: 3, deliveryError: '', delivered: { atMs: 3, durationMs: 4 } },
    },
    'remembered with the attempts that failed before, of which the last ones are kept': {
      job: { failures: Array.from({ length: 8 }, (_, i) => failure(i)) },
      outcome: { kind: 'download-retry', delayMs: 5000, failure: failure(8) },
      place: { kind: 'again', delayMs: 5000, holdMs: 0 },
      patch: { attempts: 2, receivedBytes: 0, failures: Array.from({ length: 8 }, (_, i) => failure(i + 1)) },
    },
    'not delivered yet': {
      job: ended,
      outcome: { kind: 'delivery-retry', delayMs: 10_000, error: 'answered 503' },
      place: { kind: 'again', delayMs: 10_000 },
      patch: { deliveries: 3, deliveryError: 'answered 503' },
    },
    'not delivered: it rests until somebody retries it': {
      job: ended,
      outcome: { kind: 'delivery-failed', error: 'answered 503', failure: failure(1) },
      place: { kind: 'rest', reason: 'callback-failed' },
      patch: {
        deliveries: 3,
        deliveryError: 'answered 503',
        failures: [failure(1)],
        tags: ['of:cats', 'code:http.503', `to:${receiver}`],
      },
    },
    'cancelled with a file: it is deleted, and the request stays': {
      job: ended,
      outcome: { kind: 'cancelled' },
      place: { ...toDeletions(0), shrink: false },
      patch: { cancelled: true, ...ended },
    },
    'cancelled, and its file deleted': {
      job: { ...ended, cancelled: true },
      outcome: { kind: 'deleted' },
      place: { kind: 'rest', reason: 'cancelled' },
      patch: { cancelled: true, result: { ...result(true), path: undefined }, tags: ['of:cats'] },
    },
    'retried by hand: the deliveries are counted anew': {
      job: ended,
      outcome: { kind: 'retried-by-hand' },
      place: toCallbacks,
      patch: { deliveries: 0, deliveryError: '' },
    },
    'rested long enough': {
      job: ended,
      outcome: { kind: 'expired' },
      place: toDeletions(0),
      patch: {},
    },
    'not deleted yet': {
      job: { ...ended, request: undefined },
      outcome: { kind: 'deletion-retry', delayMs: 10_000 },
      place: { kind: 'again', delayMs: 10_000 },
      patch: { deletions: 4 },
    },
    deleted: {
      job: { ...ended, request: undefined },
      outcome: { kind: 'deleted' },
      place: { kind: 'gone' },
      patch: {},
    },
    'handed back: nothing happened': {
      outcome: { kind: 'handed-back' },
      place: { kind: 'back' },
      patch: {},
    },
  }

  for (const [name, { job, outcome, place, patch }] of Object.entries(moves)) {
    it(name, () => {
      assert.deepEqual(nextPlace(jobWith(job), outcome), { place, patch })
    })
  }

  it('is a room that tells the callbacks of each kind apart', () => {
    for (const [callbackType, callbackDst, group] of [
      ['http', 'http://receiver.example:8080/x', 'http://receiver.example:8080'],
      ['kafka', 'topic', 'topic'],
      ['sqs', 'https://sqs.example/1/queue', 'sqs.example/1/queue'],
    ] as const) {
      const job = jobWith({ request: { ...request, callbackType, callbackDst } })
      const { place } = nextPlace(job, { kind: 'downloaded', ...ended })
      assert.deepEqual(place, { kind: 'room', room: `callbacks:${callbackType}`, group })
    }
  })

  it('is a rest that is known, or none', () => {
    for (const { outcome, job } of Object.values(moves)) {
      const { place } = nextPlace(jobWith(job), outcome)
      if (place.kind === 'rest') assert.ok(restReasons.includes(place.reason))
    }
  })
})

describe('where a download is reported', () => {
  it('is its callback', () => {
    const target = { type: 'http', destination: request.callbackDst }
    for (const success of [true, false]) assert.deepEqual(callbackTarget(request, success), target)
  })

  it('is elsewhere for a failure, when the request says so', () => {
    const elsewhere = { ...request, callbackErrorDst: 'http://errors.example/' }
    assert.deepEqual(callbackTarget(elsewhere, false), { type: 'http', destination: 'http://errors.example/' })
    assert.deepEqual(callbackTarget(elsewhere, true), { type: 'http', destination: request.callbackDst })
    const kafka = { ...request, callbackErrorType: 'kafka', callbackErrorDst: 'errors' } as const
    assert.deepEqual(callbackTarget(kafka, false), { type: 'kafka', destination: 'errors' })
  })

  it('may be for failures only', () => {
    const { callbackType: _type, callbackDst: _dst, ...bare } = request
    const failures = { ...bare, callbackErrorType: 'sqs', callbackErrorDst: 'https://sqs.example/1/q' } as const
    assert.deepEqual(callbackTarget(failures, false), { type: 'sqs', destination: 'https://sqs.example/1/q' })
    assert.equal(callbackTarget(failures, true), undefined)
    assert.equal(callbackTarget(bare, false), undefined)
  })
})

describe('the receiver of a callback', () => {
  it('is scheme, host and port of a URL, however it is written', () => {
    for (const [destination, group] of [
      ['http://receiver.example/a', 'http://receiver.example:80'],
      ['HTTP://RECEIVER.example:80/b?c', 'http://receiver.example:80'],
      ['https://receiver.example', 'https://receiver.example:443'],
      ['https://user:secret@receiver.example:8443/', 'https://receiver.example:8443'],
      ['http://[::1]:81/', 'http://[::1]:81'],
    ] as const) {
      assert.equal(receiverOf({ type: 'http', destination }), group)
    }
  })

  it('is a topic as it is', () => {
    assert.equal(receiverOf({ type: 'kafka', destination: 'Topic' }), 'Topic')
  })

  it('is host and path of a queue, with or without a scheme', () => {
    for (const [destination, group] of [
      ['host/1/queue.fifo', 'host/1/queue.fifo'],
      ['https://sqs.eu-west-1.amazonaws.com/1/queue', 'sqs.eu-west-1.amazonaws.com/1/queue'],
      ['http://user:secret@localhost:9324/1/queue?token=secret', 'localhost:9324/1/queue'],
    ] as const) {
      assert.equal(receiverOf({ type: 'sqs', destination }), group)
    }
  })

  it('is always something, also where the destination is no URL', () => {
    for (const type of ['http', 'sqs'] as const) {
      assert.equal(receiverOf({ type, destination: 'http://user:secret@[' }), '(not a URL)')
    }
  })
})
