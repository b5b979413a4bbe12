import type {
  Accepted,
  Aggregation,
  AggregationList,
  Cancelled,
  DeleteAggregationsIdQuery,
  Emptied,
  GetAggregationsQuery,
  GetEventsQuery,
  GetJobsQuery,
  Job,
  JobList,
  PatchAggregationsIdBody,
  PostDownloadBody,
  PostRetryBody,
  Retried,
  Stats,
  Why,
} from './api.ts'
import { type BatchOptions, type BatchResult, batch } from './batch.ts'
import { ApiProblem } from './errors.ts'
import { events, type Live } from './events.ts'
import { type HttpOptions, http } from './http.ts'
import { type WaitOptions, wait } from './wait.ts'

export type JobSummary = JobList['jobs'][number]

interface Stoppable {
  signal?: AbortSignal | undefined
}

/**
 * All that can be asked of a Downloader. Every method throws {@link ApiProblem} when the API refuses, and
 * `ApiUnreachable` when it does not answer.
 */
export interface Client {
  /** With an idempotency key the same request may be sent again within 24 hours, and is accepted once. */
  enqueue(job: PostDownloadBody, options?: Stoppable & { idempotencyKey?: string }): Promise<Accepted>
  batch(
    jobs: Iterable<PostDownloadBody> | AsyncIterable<PostDownloadBody>,
    options?: BatchOptions,
  ): AsyncGenerator<BatchResult>
  get(id: string, options?: Stoppable): Promise<Job>
  /** Resolves when the job is over, however it ended. */
  wait(id: string, options?: WaitOptions): Promise<Job>
  why(id: string, options?: Stoppable): Promise<Why>
  /** One page; `next` is the `cursor` of the one after it. */
  page(query: GetJobsQuery, options?: Stoppable): Promise<JobList>
  /** All jobs of a state, page by page. */
  list(query: Omit<GetJobsQuery, 'cursor'>, options?: Stoppable): AsyncGenerator<JobSummary>
  /** A job that rests, or was delivered, is deleted with its file. */
  cancel(id: string, options?: Stoppable): Promise<Cancelled>
  /** Deletes a job that is over, with its file; one that is not is left as it is, and the API says 409. */
  delete(id: string, options?: Stoppable): Promise<Cancelled>
  /** Queues one failed callback again, or one failed download that nobody is called back for. */
  retry(id: string, options?: Stoppable): Promise<Accepted>
  /** Queues at most `count` again; repeat it while there is `more`. */
  retryMany(filter: PostRetryBody, options?: Stoppable): Promise<Retried>
  aggregations(query?: GetAggregationsQuery, options?: Stoppable): Promise<AggregationList>
  aggregation(id: string, options?: Stoppable): Promise<Aggregation>
  /** Null takes a setting back. Resolves to null when nothing is left of the aggregation. */
  amend(id: string, change: PatchAggregationsIdBody, options?: Stoppable): Promise<Aggregation | null>
  /** Cancels what waits, and with `drop` also what runs; repeat it while something is `remaining`. */
  empty(id: string, mode?: DeleteAggregationsIdQuery['mode'], options?: Stoppable): Promise<Emptied>
  /** Until the stream ends; it does not connect again. */
  events(query: GetEventsQuery, signal: AbortSignal): AsyncGenerator<Live>
  /** Counters over all live instances; undefined when none is alive. */
  stats(role: 'processor' | 'notifier', options?: Stoppable): Promise<Stats | undefined>
  /** In Prometheus' text format. */
  metrics(options?: Stoppable): Promise<string>
}

export function downloader(options: HttpOptions): Client {
  const api = http(options)
  const at = (id: string) => encodeURIComponent(id)
  const look = (id: string, signal: AbortSignal | undefined) => api.json<Job>(`/jobs/${at(id)}`, { signal })

  return {
    async enqueue(job, { idempotencyKey, signal } = {}) {
      const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }
      return (await api.json<Accepted>('/download', { method: 'POST', body: job, headers, signal })).body
    },
    batch: (jobs, options) => batch(api, jobs, options),
    get: async (id, { signal } = {}) => (await look(id, signal)).body,
    wait: (id, options = {}) => wait(() => look(id, options.signal), options),
    why: async (id, { signal } = {}) => (await api.json<Why>(`/jobs/${at(id)}/why`, { signal })).body,
    page: async (query, { signal } = {}) => (await api.json<JobList>('/jobs', { query, signal })).body,
    async *list(query, { signal } = {}) {
      let cursor: string | undefined
      do {
        const { body } = await api.json<JobList>('/jobs', { query: { ...query, cursor }, signal })
        yield* body.jobs
        cursor = body.next ?? undefined
      } while (cursor !== undefined)
    },
    async cancel(id, { signal } = {}) {
      return (await api.json<Cancelled>(`/jobs/${at(id)}`, { method: 'DELETE', signal })).body
    },
    async delete(id, { signal } = {}) {
      const request = { method: 'DELETE', query: { over: '1' }, signal } as const
      return (await api.json<Cancelled>(`/jobs/${at(id)}`, request)).body
    },
    async retry(id, { signal } = {}) {
      return (await api.json<Accepted>(`/retry/${at(id)}`, { method: 'POST', signal })).body
    },
    async retryMany(filter, { signal } = {}) {
      return (await api.json<Retried>('/retry', { method: 'POST', body: filter, signal })).body
    },
    async aggregations(query = {}, { signal } = {}) {
      return (await api.json<AggregationList>('/aggregations', { query, signal })).body
    },
    async aggregation(id, { signal } = {}) {
      return (await api.json<Aggregation>(`/aggregations/${at(id)}`, { signal })).body
    },
    async amend(id, change, { signal } = {}) {
      const request = { method: 'PATCH', body: change, signal } as const
      return (await api.json<Aggregation | null>(`/aggregations/${at(id)}`, request)).body
    },
    async empty(id, mode = 'drain', { signal } = {}) {
      const request = { method: 'DELETE', query: { mode }, signal } as const
      return (await api.json<Emptied>(`/aggregations/${at(id)}`, request)).body
    },
    events: (query, signal) => events(api, query, signal),
    async stats(role, { signal } = {}) {
      try {
        return (await api.json<Stats>(`/stats/${role}`, { signal })).body
      } catch (error) {
        if (error instanceof ApiProblem && error.status === 404) return undefined
        throw error
      }
    },
    metrics: ({ signal } = {}) => api.text('/metrics', { signal }),
  }
}
