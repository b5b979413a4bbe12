import { z } from 'zod'
import { DownloadBody } from '../../download-request.ts'
import { ProblemView } from '../problems.ts'
import { DryRunQuery, Verdict } from '../schemas/dry-run.ts'
import { EventQuery } from '../schemas/event.ts'
import { Accepted, CancelView, DeleteQuery, JobView, WhyView } from '../schemas/job.ts'
import { JobList, JobQuery, RetryRequest, RetryView } from '../schemas/list.ts'
import type { Operation } from './operation.ts'

const fields = {
  aggr_id: 'the aggregation: jobs that share a limit',
  aggr_limit: 'most downloads of the aggregation at once; the first job of an aggregation sets it',
  aggr_rate: 'requests of the aggregation that begin in a second, at most; fractions are allowed',
  aggr_burst: 'and how many of them may begin at once; goes with aggr_rate, a tenth of it where absent',
  aggr_proxy: 'an http or https proxy; the first job of an aggregation sets it',
  url: 'what to download: http or https',
  callback_type: '`none`: nobody is called, the job is looked at',
  callback_dst: 'an http or https URL, a Kafka topic, or the URL of an SQS queue',
  callback_url: 'deprecated: an HTTP callback; wins over callback_type and callback_dst',
  callback_error_type: 'callback_type unless given',
  callback_error_dst: 'where a failed download is reported instead',
  extra: 'given back in the callback as it is',
  mime_type: 'globs that the found type must match, separated by commas; ! negates; all must hold',
  max_retries: 'retries after the first attempt',
  extract_image_size: 'whether the callback tells width and height',
  download_timeout: 'seconds that one attempt may take',
  request_headers: 'sent to the origin; those that belong to the connection are dropped',
  s3_bucket: "the caller's own bucket, with s3_region; then a callback is optional",
  s3_region: 'goes with s3_bucket',
  subpath: "a folder under the root, in front of the file's own",
  checksum: 'what the file must have: sha256, sha512, sha1 or md5, a colon, and the digest in hex',
  max_bytes: 'most bytes of the file',
  max_pixels: 'most pixels of an image: width times height',
  priority: '1 to 9: before all that waits in its aggregation with a lower one; a retry has none',
  not_before: 'it does not start before this time, at most a year ahead',
} satisfies Record<keyof DownloadBody, string>

const id = { id: 'of the job' }
const unknown = 'there is no such job'
const key = 'accepted once in 24 hours under this key: 1 to 255 visible ASCII characters'
const traceparent = "of the caller's trace (W3C Trace Context); ignored where the deployment traces nothing"

export const jobOperations: Operation[] = [
  {
    method: 'post',
    path: '/download',
    tag: 'jobs',
    summary: 'Accept a job',
    description:
      '201 says that the job is kept. Fields that are not known are ignored; an empty string means absent; of fields of ' +
      'one name the last counts. With `dry_run=1` nothing is enqueued: names are looked up, and the answer says what the ' +
      'address guard would refuse.',
    query: DryRunQuery,
    headers: { 'Idempotency-Key': key, traceparent },
    body: { schema: DownloadBody, descriptions: fields },
    answers: {
      200: { description: 'what would become of it (`dry_run=1`)', schema: Verdict, name: 'Verdict' },
      201: { description: 'accepted', schema: Accepted, name: 'Accepted' },
    },
    problems: {
      400: 'names the field, and what is wrong with it',
      413: 'larger than api.max_body_bytes',
      422: 'the Idempotency-Key was used for another request',
    },
  },
  {
    method: 'post',
    path: '/downloads',
    tag: 'jobs',
    summary: 'Accept up to 10,000 jobs',
    description:
      'A JSON array, or JSON objects on lines of their own. Answered in the same order: each with its id, or with what ' +
      'is wrong with it. Under an Idempotency-Key the same batch is accepted once.',
    headers: { 'Idempotency-Key': key, traceparent },
    body: {
      schema: z.array(DownloadBody),
      also: { 'application/x-ndjson': 'a job on each line' },
    },
    answers: {
      200: {
        description: 'what became of each',
        schema: z.array(z.union([Accepted, z.strictObject({ error: ProblemView })])),
        name: 'BatchAnswer',
      },
    },
    problems: {
      400: 'neither a JSON array nor JSON lines, or empty',
      413: 'larger than api.max_batch_bytes, or more than 10,000 jobs',
    },
  },
  {
    method: 'get',
    path: '/jobs',
    tag: 'jobs',
    summary: 'List the jobs of one state',
    query: JobQuery,
    answers: { 200: { description: 'a page', schema: JobList, name: 'JobList' } },
    problems: { 400: 'names the parameter' },
  },
  {
    method: 'get',
    path: '/jobs/{id}',
    tag: 'jobs',
    summary: 'Look at a job',
    params: id,
    answers: {
      200: {
        description: 'as it is now',
        schema: JobView,
        name: 'Job',
        headers: {
          'Retry-After': 'seconds after which it is worth while to ask again; absent when nothing will happen',
        },
      },
    },
    problems: { 404: unknown },
  },
  {
    method: 'get',
    path: '/jobs/{id}/why',
    tag: 'jobs',
    summary: 'Say why a job waits',
    params: id,
    answers: { 200: { description: 'one main reason, and what else holds', schema: WhyView, name: 'Why' } },
    problems: { 404: unknown },
  },
  {
    method: 'delete',
    path: '/jobs/{id}',
    tag: 'jobs',
    summary: 'Cancel a job, or delete one that is over',
    description:
      'Nobody is called back, and a file that was stored is deleted; what is in a bucket of the caller stays. A job that ' +
      'rests, or was delivered, is deleted with its file now.',
    params: id,
    query: DeleteQuery,
    answers: {
      200: { description: 'it is cancelled', schema: CancelView, name: 'Cancelled' },
      202: { description: 'it is being cancelled, or deleted', schema: CancelView, name: 'Cancelled' },
    },
    problems: { 400: 'names the parameter', 404: unknown, 409: 'it is not over (`over=1`)' },
  },
  {
    method: 'post',
    path: '/retry/{job_id}',
    tag: 'jobs',
    summary: 'Queue a failed callback again, or a failed download that nobody is called back for',
    params: { job_id: 'of the job' },
    answers: { 201: { description: 'queued', schema: Accepted, name: 'Accepted' } },
    problems: { 404: unknown, 409: 'it has not failed for good, or its callback is still to come' },
  },
  {
    method: 'post',
    path: '/retry',
    tag: 'jobs',
    summary: 'Queue failed callbacks or downloads again, by what they have in common',
    description: 'They start one after the other, `rate` in a second.',
    body: { schema: RetryRequest },
    answers: { 200: { description: 'how many', schema: RetryView, name: 'Retried' } },
    problems: { 400: 'names the field' },
  },
  {
    method: 'get',
    path: '/events',
    tag: 'jobs',
    summary: 'Watch jobs live',
    description:
      'Server-sent events: `job`, whose data is a JSON object {at, id, event, room, group, code?}, and `dropped`, whose data ' +
      'is how many did not reach a client that reads too slowly. What happened before, or while nobody listened, does not come; what different processes tell may come out of order.',
    query: EventQuery,
    answers: { 200: { description: 'a stream', type: 'text/event-stream' } },
    problems: { 400: 'names the parameter', 503: 'too many listen already, or the process stops' },
  },
]
