import assert from 'node:assert/strict'
import { JobError } from '../../src/jobs/errors.ts'
import type { DownloadRequest } from '../../src/jobs/job.ts'
import { unpackJob } from '../../src/jobs/record.ts'
import type { Lease } from '../../src/leases.ts'
import { downloading } from '../../src/processor/processor.ts'
import { processorStats } from '../../src/processor/stats.ts'
import { never, recordingLog, request } from '../support/queue.ts'

const ID = 'AAAAAAAAAAAAAA'

function leaseOf(fields: Partial<DownloadRequest>): Lease {
  const job = { ...unpackJob(ID, null, []), request: request(fields) }
  return {
    claim: { job, token: 't', group: 'group', gift: '', watched: '' },
    signal: never,
    confirm() {},
    leave() {},
    progress() {},
    async turn() {},
  }
}

/** What follows from an attempt that ends with `failure`. */
function outcomeOf(failure: JobError, fields: Partial<DownloadRequest> = {}) {
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
  return run(leaseOf(fields))
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
