// Generated from the OpenAPI document by client/generate.ts: a test fails when this file is stale.

export type Problem = {
  type: 'about:blank'
  title: string
  status: number
  /** names what was wrong */
  detail: string
}

export type Verdict = {
  /** the fields are right, and no connection that is needed would be refused */
  would_be_accepted: boolean
  /** `field: what is wrong with it`; none when it would be accepted */
  reasons: string[]
  /** as it was understood; null when it is not valid */
  request: Record<string, unknown> | null
  /** what the address guard says of each URL, by field */
  destinations: Record<string, {
    /** nothing is known that would refuse a connection */
    allowed: boolean
    scheme: string
    host: string
    port: number
    addresses: Array<{
      address: string
      allowed: boolean
      reason: string
    }>
    reasons: string[]
    /** why there are no addresses, or empty: a name that cannot be resolved is no refusal */
    note: string
  }>
}

export type Accepted = {
  id: string
}

export type BatchAnswer = Array<{
  id: string
} | {
  error: {
    type: 'about:blank'
    title: string
    status: number
    /** names what was wrong */
    detail: string
  }
}>

export type JobList = {
  /** at rest: newest first; pending: by aggregation or receiver, in the order of the queue */
  jobs: Array<{
    id: string
    state: 'pending' | 'running' | 'callback_pending' | 'callback_running' | 'callback_failed' | 'done' | 'failed' | 'cancelled' | 'cancelling'
    aggr_id: string
    /** without credentials and query */
    url: string
    attempts: number
    /** of the last attempt that failed, or empty */
    code: string
    /** of the download, or, where that succeeded, of the callback */
    error: string
    /** pending: when it may start; running: when its lease ends; at rest: since when */
    at: string
  }>
  /** `cursor` of the next page; null on the last one. A page may be short and not be the last */
  next: string | null
}

export type Job = {
  id: string
  /** `expired`: its file is being deleted, but not because its callback was delivered */
  state: 'pending' | 'running' | 'callback_pending' | 'callback_running' | 'callback_failed' | 'delivered' | 'done' | 'failed' | 'cancelling' | 'cancelled' | 'expired'
  /** RFC 3339, in UTC */
  created_at: string
  /** null once the callback was delivered: the request is not kept */
  aggr_id: string | null
  /** without credentials and query */
  url: string | null
  /** downloads that ended */
  attempts: number
  /** times that the origin found too fast: no attempts */
  put_off: number
  /** how often a worker died with it */
  stalls: number
  /** the last attempts that failed, oldest first */
  failures: Array<{
    step: 'download' | 'callback'
    /** a stable code, such as `http.503` */
    code: string
    /** RFC 3339, in UTC */
    at: string
    duration_ms: number
  }>
  /** the attempt that succeeded, its file stored */
  downloaded: {
    /** RFC 3339, in UTC */
    at: string
    duration_ms: number
  } | null
  /** the callback that its receiver took */
  delivered: {
    /** RFC 3339, in UTC */
    at: string
    duration_ms: number
  } | null
  /** while it runs; renewed about three times a lease */
  received_bytes: number | null
  callback: {
    type: 'http' | 'kafka' | 'sqs'
    receiver: string
    /** since it was queued, or retried by hand */
    attempts: number
    /** why the last one failed, or empty */
    error: string
  } | null
  result: {
    success: boolean
    error: string
    error_code: string
    response_code: number
    size: number
    sha256: string
    mime_type: string
    /** `WxH`, or empty */
    image_size: string
    /** where the redirects ended, without credentials and query; empty where that is not known */
    final_url: string
    redirects: number
    /** ms, of the last attempt: for names, connections and TLS; until the first and the last byte were here */
    timings: {
      dns: number
      connect: number
      tls: number
      first_byte: number
      total: number
    }
  } | null
  file: {
    /** null: the bucket is the caller’s own */
    storage: string | null
    bucket: string | null
    /** relative to the root of the storage */
    path: string
    /** empty where the deployment has no `download_url` */
    url: string
  } | null
  /** while it is pending: when it may start */
  starts_at: string | null
  /** while it runs */
  lease_ends_at: string | null
  resting_since: string | null
}

export type Why = {
  id: string
  /** `expired`: its file is being deleted, but not because its callback was delivered */
  state: 'pending' | 'running' | 'callback_pending' | 'callback_running' | 'callback_failed' | 'delivered' | 'done' | 'failed' | 'cancelling' | 'cancelled' | 'expired'
  /** the main reason */
  code: 'disk_full' | 'no_worker' | 'room_closed' | 'paused' | 'not_before' | 'throttled' | 'retry_later' | 'scheduled' | 'held' | 'host_held' | 'host_down' | 'host_full' | 'rate' | 'host_slow' | 'full' | 'behind' | 'worker_busy' | 'running' | 'finished'
  /** the same for people */
  text: string
  /** what else holds, and would be the reason if the main one were not */
  also: Array<{
    code: 'disk_full' | 'no_worker' | 'room_closed' | 'paused' | 'not_before' | 'throttled' | 'retry_later' | 'scheduled' | 'held' | 'host_held' | 'host_down' | 'host_full' | 'rate' | 'host_slow' | 'full' | 'behind' | 'worker_busy'
    text: string
  }>
  /** null unless it is pending */
  waiting: {
    room: string
    /** the aggregation, or the receiver */
    group: string
    /** jobs of the group before it */
    ahead: number
    pending: number
    running: number
    /** some of those that run */
    running_jobs: string[]
    limit: number
    paused: boolean
    held_until: string | null
    /** the origin that is slowed, and for which it waits */
    host: string | null
    /** jobs of the aggregation begun per second, at most */
    rate: number | null
    /** RFC 3339, in UTC */
    starts_at: string
    retry: {
      failed: number
      of: number
    }
    /** workers of the room that called lately */
    workers: number
  } | null
}

export type Cancelled = {
  id: string
  state: 'cancelled' | 'cancelling' | 'expired'
}

export type Retried = {
  retried: number
  /** whether there may be others: repeat the request */
  more: boolean
  last_starts_at: string | null
}

export type AggregationList = {
  aggregations: Array<{
    aggr_id: string
    /** null while neither a job nor an operator says */
    limit: number | null
    /** jobs begun per second, at most */
    rate: number | null
    paused: boolean
    running: number
    pending: number
    /** those of them whose origin is slowed */
    waiting_for_hosts: number
    /** since when the first of its jobs waits that could start */
    waiting_since: string | null
    /** an origin asked for this (`Retry-After`) */
    held_until: string | null
    /** failed jobs at rest */
    failed: number
    /** failed callbacks at rest */
    callback_failed: number
    /** what an operator set, which wins over what its jobs bring */
    set: {
      limit?: number | undefined
      rate?: number | undefined
      burst?: number | undefined
      paused?: boolean | undefined
    }
  }>
  /** with the same search, on all pages */
  total: number
}

export type Aggregation = {
  aggr_id: string
  /** null while neither a job nor an operator says */
  limit: number | null
  /** jobs begun per second, at most */
  rate: number | null
  paused: boolean
  running: number
  pending: number
  /** those of them whose origin is slowed */
  waiting_for_hosts: number
  /** since when the first of its jobs waits that could start */
  waiting_since: string | null
  /** an origin asked for this (`Retry-After`) */
  held_until: string | null
  /** failed jobs at rest */
  failed: number
  /** failed callbacks at rest */
  callback_failed: number
  /** what an operator set, which wins over what its jobs bring */
  set: {
    limit?: number | undefined
    rate?: number | undefined
    burst?: number | undefined
    paused?: boolean | undefined
  }
}

export type Emptied = {
  aggr_id: string
  /** jobs that were pending */
  cancelled: number
  /** jobs that run, or are about to stop */
  running: number
  /** jobs still pending: repeat the request */
  remaining: number
}

export type Stats = Record<string, number>

export type PendingSizes = Array<{
  name: string
  size: number
}>

export type Overview = {
  /** RFC 3339, in UTC */
  at: string
  version: string
  /** whether this deployment has tokens */
  login: boolean
  processes: Array<{
    role: 'api' | 'processor' | 'notifier'
    host: string
    pid: number
    version: string
    /** RFC 3339, in UTC */
    since: string
    running: number
    /** jobs at once, at most; 0: it runs none */
    concurrency: number
    /** cores that it keeps busy */
    cpu: number
    /** resident bytes */
    memory: number
    /** of a processor: it begins no download before its disk has room */
    disk_full?: boolean | undefined
  }>
  rooms: Array<{
    room: string
    pending: number
    running: number
    /** of the jobs that could start: what waits for its group does not count */
    longest_wait_ms: number
  }>
  at_rest: {
    done: number
    failed: number
    callback_failed: number
    cancelled: number
  }
  /** jobs, ever */
  accepted: number
}

export type Series = {
  step_s: number
  /** oldest first; what is absent is 0 */
  points: Array<{
    /** RFC 3339, in UTC */
    at: string
    downloaded?: number | undefined
    failed?: number | undefined
    retried?: number | undefined
    bytes?: number | undefined
    delivered?: number | undefined
    callbacks_failed?: number | undefined
    callbacks_retried?: number | undefined
    starts?: number | undefined
    wait_ms?: number | undefined
    max_wait_ms?: number | undefined
    pending?: number | undefined
    callbacks_pending?: number | undefined
  }>
}

export type Failures = {
  /** attempts that failed, most first, at most 500 kinds; an empty host: too many to tell apart */
  recent: Array<{
    step: 'download' | 'callback'
    code: string
    host: string
    count: number
  }>
  /** jobs at rest by code, most first */
  at_rest: Array<{
    state: 'failed' | 'callback_failed'
    code: string
    count: number
  }>
  /** failed callbacks at rest by receiver, most first, at most 500 */
  receivers: Array<{
    receiver: string
    count: number
  }>
}

export type OpenApi = {
  openapi: string
}

export type PostDownloadBody = {
  /** the aggregation: jobs that share a limit */
  aggr_id: string
  /** most downloads of the aggregation at once; the first job of an aggregation sets it */
  aggr_limit: number
  /** requests of the aggregation that begin in a second, at most; fractions are allowed */
  aggr_rate?: number | undefined
  /** and how many of them may begin at once; goes with aggr_rate, a tenth of it where absent */
  aggr_burst?: number | undefined
  /** an http or https proxy; the first job of an aggregation sets it */
  aggr_proxy?: string | undefined
  /** what to download: http or https */
  url: string
  /** `none`: nobody is called, the job is looked at */
  callback_type?: 'http' | 'kafka' | 'sqs' | 'none' | undefined
  /** an http or https URL, a Kafka topic, or the URL of an SQS queue */
  callback_dst?: string | undefined
  /** deprecated: an HTTP callback; wins over callback_type and callback_dst */
  callback_url?: string | undefined
  /** callback_type unless given */
  callback_error_type?: 'http' | 'kafka' | 'sqs' | undefined
  /** where a failed download is reported instead */
  callback_error_dst?: string | undefined
  /** given back in the callback as it is */
  extra?: string | undefined
  /** globs that the found type must match, separated by commas; ! negates; all must hold */
  mime_type?: string | undefined
  /** retries after the first attempt */
  max_retries?: number | undefined
  /** whether the callback tells width and height */
  extract_image_size?: boolean | undefined
  /** what the file must have: sha256, sha512, sha1 or md5, a colon, and the digest in hex */
  checksum?: string | undefined
  /** most bytes of the file */
  max_bytes?: number | undefined
  /** most pixels of an image: width times height */
  max_pixels?: number | undefined
  /** seconds that one attempt may take */
  download_timeout?: number | undefined
  /** sent to the origin; those that belong to the connection are dropped */
  request_headers?: Record<string, string | number> | undefined
  /** the caller's own bucket, with s3_region; then a callback is optional */
  s3_bucket?: string | undefined
  /** goes with s3_bucket */
  s3_region?: string | undefined
  /** a folder under the root, in front of the file's own */
  subpath?: string | undefined
  /** 1 to 9: before all that waits in its aggregation with a lower one; a retry has none */
  priority?: number | undefined
  /** it does not start before this time, at most a year ahead */
  not_before?: string | undefined
}

export type PostDownloadQuery = {
  dry_run?: '0' | '1' | 'true' | 'false' | undefined
}

export type GetJobsQuery = {
  state: 'pending' | 'running' | 'callback_pending' | 'callback_running' | 'callback_failed' | 'done' | 'failed' | 'cancelled'
  /** not for callback_pending and callback_running, which are grouped by receiver */
  aggr_id?: string | undefined
  /** for callback_…: `scheme://host:port`, a topic, or `host/path` of a queue */
  receiver?: string | undefined
  /** for failed and callback_failed: an error code */
  code?: string | undefined
  /** for jobs at rest: since when they do */
  since?: string | undefined
  until?: string | undefined
  count?: number | undefined
  /** `next` of the page before */
  cursor?: string | undefined
}

export type DeleteJobsIdQuery = {
  /** `1`: only when nothing is to come, neither a download nor a callback; else 409 */
  over?: '0' | '1' | undefined
}

export type PostRetryBody = {
  state?: 'callback_failed' | 'failed' | undefined
  aggr_id?: string | undefined
  code?: string | undefined
  receiver?: string | undefined
  since?: string | undefined
  until?: string | undefined
  /** how many start in a second; further requests come behind */
  rate?: number | undefined
  /** how many at most, newest first */
  count?: number | undefined
}

export type GetEventsQuery = {
  job_id?: string | undefined
  /** once the callback is queued, jobs are grouped by receiver: filter by job_id then */
  aggr_id?: string | undefined
  event?: 'accepted' | 'started' | 'downloaded' | 'failed' | 'retrying' | 'delivered' | 'delivery_retrying' | 'delivery_failed' | 'retried' | 'cancelled' | 'deleted' | 'handed_back' | undefined
}

export type GetAggregationsQuery = {
  /** a part of the name, in any case */
  search?: string | undefined
  sort?: 'aggr_id' | 'pending' | 'running' | 'waiting' | 'failed' | undefined
  offset?: number | undefined
  count?: number | undefined
}

export type PatchAggregationsIdBody = {
  limit?: number | null | undefined
  rate?: number | null | undefined
  burst?: number | null | undefined
  paused?: boolean | null | undefined
}

export type DeleteAggregationsIdQuery = {
  /** `drain`: what runs comes to its end; `drop`: it is cancelled, too */
  mode?: 'drain' | 'drop' | undefined
}

export type GetSeriesQuery = {
  span?: 'hour' | 'day' | undefined
}

export type GetFailuresQuery = {
  span?: 'hour' | 'day' | undefined
}
