import Router from '@koa/router'
import { z } from 'zod'
import { aggregationTag, codeTag, type RestReason, receiverTag } from '../../jobs/places.ts'
import { stateOf } from '../../jobs/state.ts'
import type { Cursor, Listing, Page, RestFilter } from '../../queue/listing.ts'
import type { Listed } from '../../queue/records.ts'
import type { Retrying } from '../../queue/retrying.ts'
import { redactedUrl } from '../../shown-url.ts'
import { Problem } from '../problems.ts'
import { parseQuery } from '../query.ts'
import { readJson } from '../read-json.ts'
import { JobQuery, type JobSummary, RetryRequest } from '../schemas/list.ts'

export interface ListDeps {
  listing: Pick<Listing, 'atRest' | 'pending' | 'running'>
  retrying: Retrying
  maxBodyBytes: number
}

const RESTING: Partial<Record<JobQuery['state'], RestReason>> = {
  done: 'done',
  failed: 'failed',
  cancelled: 'cancelled',
  callback_failed: 'callback-failed',
}

/** `GET /jobs`: the jobs of one state, page by page. `POST /retry`: queues what failed again. */
export function listRoutes({ listing, retrying, maxBodyBytes }: ListDeps): Router {
  function pageOf(query: JobQuery): Promise<Page> {
    const { state, aggr_id, receiver, count } = query
    const after = query.cursor === undefined ? undefined : readCursor(query.cursor)
    const reason = RESTING[state]
    if (reason) return listing.atRest(restFilter(reason, query), count, after)
    for (const name of ['code', 'since', 'until'] as const) refuse(name, query)
    const downloads = state === 'pending' || state === 'running'
    refuse(downloads ? 'receiver' : 'aggr_id', query)
    const list = state === 'pending' || state === 'callback_pending' ? listing.pending : listing.running
    return list(downloads ? 'downloads' : 'callbacks', aggr_id ?? receiver, count, after)
  }

  return new Router()
    .get('/jobs', async (ctx) => {
      const { listed, next } = await pageOf(parseQuery(JobQuery, ctx.query))
      ctx.body = { jobs: listed.map(summaryOf), next: next ? writeCursor(next) : null }
    })
    .post('/retry', async (ctx) => {
      const request = RetryRequest.parse(await readJson(ctx.req, maxBodyBytes))
      const reason = request.state === 'failed' ? 'failed' : 'callback-failed'
      const { retried, more, lastMs } = await retrying.retry(restFilter(reason, request), request.count, request.rate)
      ctx.body = { retried, more, last_starts_at: retried ? new Date(Date.now() + lastMs).toISOString() : null }
    })
}

type Filter = Pick<JobQuery, 'state' | 'aggr_id' | 'receiver' | 'code' | 'since' | 'until'>

function restFilter(reason: RestReason, filter: Filter): RestFilter {
  const { aggr_id, receiver, code, since, until } = filter
  if (reason !== 'callback-failed') refuse('receiver', filter)
  if (reason !== 'callback-failed' && reason !== 'failed') refuse('code', filter)
  const tags = [
    ...(aggr_id === undefined ? [] : [aggregationTag(aggr_id)]),
    ...(code === undefined ? [] : [codeTag(code)]),
    ...(receiver === undefined ? [] : [receiverTag(receiver)]),
  ]
  return { reason, tags, sinceMs: since, untilMs: until }
}

/** A filter that would not filter is refused. */
function refuse(name: 'aggr_id' | 'receiver' | 'code' | 'since' | 'until', filter: Filter): void {
  if (filter[name] !== undefined) throw new Problem(400, `${name}: does not go with state ${filter.state}`)
}

function summaryOf({ job, where }: Listed): JobSummary {
  const { id, request, result, attempts, failures, deliveryError } = job
  const ms = where.kind === 'pending' ? where.startsMs : where.kind === 'claimed' ? where.leaseEndsMs : where.sinceMs
  return {
    id,
    state: stateOf(job, where) as JobSummary['state'],
    aggr_id: request?.aggrId ?? '',
    url: request ? redactedUrl(request.url) : '',
    attempts,
    code: failures.at(-1)?.code ?? '',
    error: result?.error || deliveryError,
    at: new Date(ms).toISOString(),
  }
}

const CursorText = z.object({ id: z.string(), score: z.string().optional(), spot: z.string().optional() })

const writeCursor = (cursor: Cursor) => Buffer.from(JSON.stringify(cursor)).toString('base64url')

function readCursor(text: string): Cursor {
  try {
    const { id, score, spot } = CursorText.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
    if (score !== undefined && !Number.isFinite(Number(score))) throw new RangeError(score)
    return { id, ...(score === undefined ? {} : { score }), ...(spot === undefined ? {} : { spot }) }
  } catch {
    throw new Problem(400, 'cursor: is not what `next` of another page was')
  }
}
