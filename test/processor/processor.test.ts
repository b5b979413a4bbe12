import assert from 'node:assert/strict'
import { JobError } from '../../src/jobs/errors.ts'
import type { DownloadRequest, Job } from '../../src/jobs/job.ts'
import { unpackJob } from '../../src/jobs/record.ts'
import type { Lease } from '../../src/leases.ts'
import { downloading } from '../../src/processor/processor.ts'
import { processorStats } from '../../src/processor/stats.ts'
import { never, recordingLog, request } from '../support/queue.ts'

const ID = 'AAAAAAAAAAAAAA'

function leaseOf(fields: Partial<DownloadRequest>, past: Partial<Job>): Lease {
  const job = { ...unpackJob(ID, null, []), ...past, request: request(fields) }
  return {
    claim: { job, token: 't', group: 'group', gift: '', watched: '' },
    signal: never,
    confirm() {},
    leave() {},
    progress() {},
    async turn() {},
  }
}

/**
 * What follows from an attempt that ends with `failure`.
 *
 * @param past what the job went through before
 */
function outcomeOf(failure: JobError, fields: Partial<DownloadRequest> = {}, past: Partial<Job> = {}) {
  const run = downloading({
    attempt: () => Promise.reject(failure),
    drop: async () => {},
    storage: 'filesystem',
    maxRetries: 0,
    retryBackoffMs: 1,
    maxStalls: 3,
    stats: processorStats(),
    ended() {},
    log: recordingLog().log,
  })
  return run(leaseOf(fields, past))
}

describe('a download that failed for good', () => {
  const failure = new JobError('http.404', 'Received Status code 404 Not Found', {
    retriable: false,
    responseCode: 404,
  })
  const pathAfter = async (fields: Partial<DownloadRequest>) => {
    const outcome = await outcomeOf(failure, fields)
    assert.ok(outcome.kind === 'downloaded' && !outcome.result.success)
    return outcome.result.path
  }

  it('names the file that an earlier attempt may have stored', async () => {
    assert.equal(await pathAfter({}), `AAA/${ID}`)
    assert.equal(await pathAfter({ subpath: 'one/two' }), `one/two/AAA/${ID}`)
  })

  it("names none in the caller's own bucket, which is never deleted by us", async () => {
    assert.equal(await pathAfter({ s3Bucket: 'theirs', s3Region: 'eu-west-1' }), undefined)
  })
})

describe('a download that its origin puts off', () => {
  const HOUR_MS = 3_600_000
  const tooFast = (retryAfterMs?: number, redirected = false) =>
    new JobError('http.429', 'Received Status code 429 Too Many Requests', {
      retriable: true,
      responseCode: 429,
      redirected,
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    })
  const young = () => Date.now() - 23.9 * HOUR_MS
  const old = () => Date.now() - 24.1 * HOUR_MS

  it('loses no attempt, up to 50 times and for a day', async () => {
    const outcome = await outcomeOf(tooFast(), { maxRetries: 0 }, { throttles: 49, createdMs: young() })
    assert.equal(outcome.kind, 'download-throttled')
  })

  it('loses an attempt each time from then on', async () => {
    for (const past of [
      { throttles: 50, createdMs: young() },
      { throttles: 0, createdMs: old() },
    ]) {
      assert.equal((await outcomeOf(tooFast(), { maxRetries: 1 }, past)).kind, 'download-retry')
      const last = await outcomeOf(tooFast(), { maxRetries: 1 }, { ...past, attempts: 1 })
      assert.ok(last.kind === 'downloaded' && last.result.errorCode === 'http.429', last.kind)
    }
  })

  it('waits as long as the origin said, and so does all that would go there', async () => {
    const outcome = await outcomeOf(tooFast(HOUR_MS), {}, { createdMs: young() })
    assert.ok(outcome.kind === 'download-throttled')
    assert.deepEqual([outcome.delayMs, outcome.holdMs, outcome.verdict?.says], [HOUR_MS, HOUR_MS, 'throttled'])
  })

  it('waits alone where the host of a redirect said so', async () => {
    for (const past of [{ createdMs: young() }, { createdMs: old() }]) {
      const outcome = await outcomeOf(tooFast(HOUR_MS, true), { maxRetries: 1 }, past)
      assert.ok(outcome.kind === 'download-throttled' || outcome.kind === 'download-retry', outcome.kind)
      assert.deepEqual([outcome.delayMs, outcome.holdMs, outcome.verdict?.says], [HOUR_MS, undefined, ''])
    }
  })
})
