import Router from '@koa/router'
import type { ZodType } from 'zod'
import { downloadRequestSchema } from '../../download-request.ts'
import type { DownloadRequest } from '../../jobs/job.ts'
import { downloadsRoom } from '../../jobs/places.ts'
import type { Events } from '../../queue/events.ts'
import type { Acceptance, NewJob, Queue } from '../../queue/queue.ts'
import { RedisUnavailable } from '../../queue/redis.ts'
import type { Span, Tracer } from '../../tracing/tracer.ts'
import { type DryRunDeps, dryRun } from '../dry-run.ts'
import { idempotencyKeys } from '../idempotency.ts'
import { Problem, problemBody, problemOf } from '../problems.ts'
import { readJson, readText } from '../read-json.ts'
import { entriesOf } from '../read-many.ts'
import { DryRunQuery } from '../schemas/dry-run.ts'

export interface DownloadDeps extends DryRunDeps {
  queue: Pick<Queue, 'accept'>
  maxBodyBytes: number
  maxBatchBytes: number
  /** Told what happens to jobs. */
  events: Pick<Events, 'tell'>
  /** Undefined: a `traceparent` is ignored. */
  tracer?: Pick<Tracer, 'begin'> | undefined
}

/** Jobs of one batch. */
export const MAX_BATCH_JOBS = 10_000
/** Jobs and bytes that go to Redis at once, which does nothing else meanwhile. */
const CHUNK_JOBS = 250
const CHUNK_BYTES = 4 * 1024 * 1024

/**
 * `POST /download`: accepts a job. 201 says that Redis has it; 400 names the field. With `?dry_run=1` it only says what
 * would become of it. `POST /downloads`: the same for many, each with an answer of its own.
 */
export function downloadRoutes({ queue, maxBodyBytes, maxBatchBytes, events, tracer, ...deps }: DownloadDeps): Router {
  const schema = downloadRequestSchema(deps.backends, deps.guards)
  const rehearse = dryRun(deps)
  const accept = async (jobs: NewJob[]) => {
    const acceptances = await queue.accept(jobs)
    for (const [i, { request }] of jobs.entries()) {
      const accepted = acceptances[i]
      if (accepted && 'id' in accepted) {
        events.tell({ id: accepted.id, event: 'accepted', room: downloadsRoom, group: request.aggrId })
      }
    }
    return acceptances
  }
  return new Router()
    .post('/download', async (ctx) => {
      const keyOf = idempotencyKeys(ctx)
      const isDry = DryRunQuery.parse(ctx.query).dry_run
      const body = await readJson(ctx.req, maxBodyBytes)
      if (isDry) {
        ctx.body = await rehearse(body)
        return
      }
      const request = schema.parse(body)
      const span = tracer?.begin(ctx.headers.traceparent?.toString())
      const [acceptance] = await accept([{ request: traced(request, span), idempotencyKey: keyOf(0) }])
      ctx.status = 201
      const id = idOf(acceptance)
      ctx.body = { id }
      span?.end({
        name: 'POST /download',
        kind: 'server',
        attributes: { 'downloader.job_id': id, 'downloader.aggregation': request.aggrId },
      })
    })
    .post('/downloads', async (ctx) => {
      if (ctx.query.dry_run !== undefined) throw new Problem(400, 'dry_run: is for one job, by POST /download')
      const keyOf = idempotencyKeys(ctx)
      const entries = entriesOf(await readText(ctx.req, maxBatchBytes), MAX_BATCH_JOBS)
      const answers: Answer[] = []
      let chunk: Candidate[] = []
      let bytes = 0
      const flush = async () => {
        answers.push(...(await acceptAll(accept, chunk)))
        chunk = []
        bytes = 0
      }
      const span = tracer?.begin(ctx.headers.traceparent?.toString())
      let n = 0
      for (const { read, size } of entries) {
        if (chunk.length === CHUNK_JOBS || bytes + size > CHUNK_BYTES) await flush()
        chunk.push(candidate(schema, read, size > maxBodyBytes ? maxBodyBytes : undefined, keyOf(n++), span))
        bytes += size
      }
      await flush()
      ctx.body = answers
      span?.end({ name: 'POST /downloads', kind: 'server', attributes: { 'downloader.jobs': answers.length } })
    })
}

type Answer = { id: string } | { error: ReturnType<typeof problemBody> }
/** A job of a batch, or what is wrong with it. */
type Candidate = NewJob | Problem

/** The request as part of the trace that its caller has begun. */
const traced = (request: DownloadRequest, span: Span | undefined): DownloadRequest =>
  span ? { ...request, traceparent: span.traceparent } : request

function candidate(
  schema: ZodType<DownloadRequest>,
  read: () => unknown,
  tooLargeFor: number | undefined,
  idempotencyKey: string | undefined,
  span: Span | undefined,
): Candidate {
  if (tooLargeFor !== undefined) return new Problem(413, `the job is larger than ${tooLargeFor} bytes`)
  try {
    return { request: traced(schema.parse(read()), span), idempotencyKey }
  } catch (error) {
    return problemOf(error)
  }
}

/** When Redis goes away in the middle of a batch, what it had before stays answered with ids. */
async function acceptAll(accept: Queue['accept'], candidates: Candidate[]): Promise<Answer[]> {
  const jobs = candidates.filter((one): one is NewJob => !(one instanceof Problem))
  let acceptances: Acceptance[] = []
  let trouble: RedisUnavailable | undefined
  try {
    if (jobs.length > 0) acceptances = await accept(jobs)
  } catch (error) {
    if (!(error instanceof RedisUnavailable)) throw error
    trouble = error
  }
  let next = 0
  return candidates.map((one): Answer => {
    if (one instanceof Problem) return { error: problemBody(one) }
    try {
      if (trouble) throw trouble
      return { id: idOf(acceptances[next++]) }
    } catch (error) {
      return { error: problemBody(problemOf(error)) }
    }
  })
}

/** @throws {Problem} 422, 503 */
function idOf(acceptance: Acceptance | undefined): string {
  if (acceptance && 'id' in acceptance) return acceptance.id
  if (acceptance?.refused === 'conflict') {
    throw new Problem(422, 'Idempotency-Key: was used for another request within the last 24 hours')
  }
  throw new Problem(503, 'too many jobs wait already (api.max_queued_jobs); try again later', { 'Retry-After': '10' })
}
