import { destinationFault } from '../destinations.ts'
import { downloadRequestSchema } from '../download-request.ts'
import type { ErrorCode } from '../jobs/errors.ts'
import {
  type CallbackType,
  type DownloadRequest,
  type DownloadResult,
  filePath,
  isJobId,
  type Job,
} from '../jobs/job.ts'
import { firstPlace, nextPlace, type Outcome } from '../jobs/places.ts'
import type { AdoptedJob } from '../queue/import/adoption.ts'
import type { GoJob, Kind } from '../queue/import/go-service.ts'

/** What was moved, as the operator is told. */
export const whats = [
  'downloads',
  'callbacks',
  'deletions',
  'interrupted downloads',
  'interrupted callbacks',
  'failed callbacks',
  'finished, without a callback',
] as const
export type What = (typeof whats)[number]

/** Our rules refuse a job; the message says why. */
export class Refused extends Error {
  override readonly name = 'Refused'
}

export interface TranslationOptions {
  /** The callback types that this deployment has. */
  backends: readonly CallbackType[]
  /** Name of the storage that the files of both services are in. */
  storage: string
  /** Called with the name of a field that we do not know, where it has a value. */
  onUnknownField: (name: string) => void
}

export interface Translation {
  /** A job that stands in a queue. @throws {Refused} */
  queued(kind: Kind, job: GoJob): { job: AdoptedJob; what: What }
  /** A job that stands in no queue, while no process of the Go service runs. @throws {Refused} */
  stray(job: GoJob, nowMs: number): { job: AdoptedJob; what: What }
}

/** The Go service's own, for jobs whose aggregation is gone. */
const DEFAULT_LIMIT = '4'

/** Every field of a job's hash, over the versions of the Go service. */
const FIELDS = new Set(
  [
    'ID URL AggrID MaxRetries DownloadState DownloadCount DownloadMeta DownloadURL DownloadTimeout',
    'CallbackState CallbackType CallbackDst CallbackURL CallbackMeta CallbackCount Extra ResponseCode MimeType',
    'ExtractImageSize ImageSize RequestHeaders UserAgent S3Bucket S3Region',
  ].flatMap((line) => line.split(' ')),
)
/** How Go writes that a field has no value. */
const NOTHING = new Set(['', '0', 'null', '{}', 'false'])

/** Jobs of the Go service as ours. */
export function translation({ backends, storage, onUnknownField }: TranslationOptions): Translation {
  const schema = downloadRequestSchema(backends)

  return {
    queued(kind, job) {
      if (kind === 'deletions') return { what: kind, job: deletion(job) }
      const state = looked(job).get('DownloadState') ?? ''
      if (kind === 'downloads') return { what: kind, job: download(job, job.dueMs) }
      if (!isOver(state)) throw new Refused(`DownloadState is ${JSON.stringify(state)} in the queue of callbacks`)
      return called(kind, afterDownload(job, deliveriesOf(job), job.dueMs))
    },

    stray(job, nowMs) {
      const fields = looked(job)
      const state = fields.get('DownloadState') ?? ''
      if (state === 'Pending' || state === 'InProgress')
        return { what: 'interrupted downloads', job: download(job, nowMs) }
      if (!isOver(state)) throw new Refused(`DownloadState is ${JSON.stringify(state)}`)
      const callback = fields.get('CallbackState') ?? ''
      if (callback === 'Failed') return { what: 'failed callbacks', job: failedCallback(job) }
      // the count has the attempt in it of which nobody knows how it ended
      const interrupted = callback === 'InProgress' ? 1 : 0
      return called('interrupted callbacks', afterDownload(job, Math.max(0, deliveriesOf(job) - interrupted), nowMs))
    },
  }

  function looked({ id, fields }: GoJob): Map<string, string> {
    checkId(id)
    if (fields.size === 0) throw new Refused(`there is no hash job:${id}: nothing of the job is left but its id`)
    for (const [name, value] of fields) if (!FIELDS.has(name) && !NOTHING.has(value)) onUnknownField(name)
    return fields
  }

  function download(job: GoJob, dueMs: number): AdoptedJob {
    const { success, data, error } = schema.safeParse(bodyOf(job))
    if (!success) {
      throw new Refused(error.issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; '))
    }
    const attempts = integer(job, 'DownloadCount')
    return {
      id: job.id,
      request: data,
      place: firstPlace(data),
      dueMs: finite(dueMs),
      patch: attempts > 0 ? { attempts } : {},
    }
  }

  function afterDownload(job: GoJob, deliveries: number, dueMs: number): AdoptedJob {
    const { request, result, record } = downloaded(job)
    const adopted = move(record, { kind: 'downloaded', result, storage })
    const patch = { ...adopted.patch, ...(deliveries > 0 ? { deliveries } : {}) }
    return { ...adopted, patch, request, dueMs: finite(dueMs) }
  }

  function failedCallback(job: GoJob): AdoptedJob {
    const { request, result, record } = downloaded(job)
    const { place, patch } = move(record, { kind: 'delivery-failed', error: job.fields.get('CallbackMeta') ?? '' })
    const deliveries = deliveriesOf(job)
    return {
      id: job.id,
      request,
      place,
      dueMs: 0,
      patch: { ...patch, attempts: record.attempts, deliveries, result, storage },
    }
  }

  function deletion(job: GoJob): AdoptedJob {
    checkId(job.id)
    const result: DownloadResult = { ...NO_RESULT, success: true, path: filePath(job.id) }
    const record: Job = { ...NEW, id: job.id, request: undefined, result, storage }
    const { place } = move(record, { kind: 'delivered', deletionDelayMs: 0 })
    return { id: job.id, place, dueMs: finite(job.dueMs), patch: { result, storage } }
  }

  /** A job whose download is over, as our record of it. */
  function downloaded(job: GoJob): { request: DownloadRequest; result: DownloadResult; record: Job } {
    const request = requestOf(job)
    const result = resultOf(job)
    const attempts = Math.max(1, integer(job, 'DownloadCount'))
    return { request, result, record: { ...NEW, id: job.id, request, attempts: attempts - 1, result, storage } }
  }

  /** What is needed of the request once the download is over: our rules of downloading have no say any more. */
  function requestOf({ fields, aggregation }: GoJob): DownloadRequest {
    const text = (name: string) => fields.get(name) || undefined
    const aggrId = fields.get('AggrID') ?? ''
    if (aggrId.includes('\0')) throw new Refused('AggrID must not hold NUL') // a retry would bring it among the downloads
    const request: DownloadRequest = {
      aggrId,
      aggrLimit: Math.max(1, Math.trunc(Number(aggregation?.limit))) || Number(DEFAULT_LIMIT),
      url: fields.get('URL') ?? '',
      extra: text('Extra'),
      s3Bucket: text('S3Bucket'),
      s3Region: text('S3Region'),
    }
    const url = text('CallbackURL')
    const destination = url ?? text('CallbackDst')
    if (!destination) return request
    const type = url ? 'http' : (text('CallbackType') ?? '')
    const known = backends.find((backend) => backend === type)
    if (!known) throw new Refused(`this deployment has no backend ${type}`)
    const fault = destinationFault(known, destination)
    if (fault) throw new Refused(`${url ? 'callback_url' : 'callback_dst'} ${fault}`)
    return { ...request, callbackType: known, callbackDst: destination }
  }
}

const called = (what: What, job: AdoptedJob) => ({
  what: job.place.kind === 'rest' ? ('finished, without a callback' as const) : what,
  job,
})

const isOver = (downloadState: string) => downloadState === 'Success' || downloadState === 'Failed'
const deliveriesOf = (job: GoJob) => integer(job, 'CallbackCount')

/** A path is made of the id, and `POST /retry` knows no other form. */
function checkId(id: string): void {
  if (!isJobId(id)) throw new Refused('the id is none that the Go service makes')
}

/** A job as the body of `POST /download` that it came with. */
function bodyOf({ fields, aggregation }: GoJob): Record<string, unknown> {
  const number = (text: string | undefined) => (text === undefined || NOTHING.has(text) ? undefined : Number(text))
  const retries = fields.get('MaxRetries')
  return {
    aggr_id: fields.get('AggrID'),
    aggr_limit: Number(aggregation?.limit ?? DEFAULT_LIMIT),
    aggr_proxy: aggregation?.proxy,
    url: fields.get('URL'),
    callback_url: fields.get('CallbackURL'),
    callback_type: fields.get('CallbackType'),
    callback_dst: fields.get('CallbackDst'),
    extra: fields.get('Extra'),
    mime_type: fields.get('MimeType'),
    max_retries: retries === '0' ? 0 : number(retries),
    extract_image_size: fields.get('ExtractImageSize') === '1',
    download_timeout: number(fields.get('DownloadTimeout')),
    request_headers: headersOf(fields),
    s3_bucket: fields.get('S3Bucket'),
    s3_region: fields.get('S3Region'),
  }
}

/** JSON, or `null`; versions before the first with headers had the one field. */
function headersOf(fields: Map<string, string>): unknown {
  const agent = fields.get('UserAgent')
  const text = fields.get('RequestHeaders') || 'null'
  try {
    return (JSON.parse(text) as unknown) ?? (agent ? { 'User-Agent': agent } : undefined)
  } catch {
    throw new Refused('RequestHeaders is not JSON')
  }
}

function resultOf(job: GoJob): DownloadResult {
  const { id, fields } = job
  const success = fields.get('DownloadState') === 'Success'
  const responseCode = integer(job, 'ResponseCode')
  const ofResponse = responseCode >= 400 ? (`http.${responseCode}` as const) : undefined
  const errorCode: ErrorCode | '' = success ? '' : (ofResponse ?? 'imported')
  const result = { ...NO_RESULT, success, error: fields.get('DownloadMeta') ?? '', errorCode, responseCode }
  const ours = success && !fields.get('S3Bucket') // what lies in the caller's own bucket is never deleted by us
  return { ...result, imageSize: fields.get('ImageSize') ?? '', ...(ours ? { path: filePath(id) } : {}) }
}

/** Size, checksum and type of a file are not known: the Go service keeps none of them. */
const NO_RESULT = { error: '', errorCode: '', responseCode: 0, imageSize: '', size: 0, sha256: '', mimeType: '' }
const NEW = {
  attempts: 0,
  deliveries: 0,
  deletions: 0,
  handled: true,
  stalls: 0,
  throttles: 0,
  deliveryError: '',
  failures: [],
  downloaded: undefined,
  delivered: undefined,
  receivedBytes: 0,
  cancelled: false,
  createdMs: 0,
}

function move(job: Job, outcome: Outcome): Pick<AdoptedJob, 'id' | 'place' | 'patch'> {
  const { place, patch } = nextPlace(job, outcome)
  if (place.kind !== 'room' && place.kind !== 'rest') throw new Error(`${outcome.kind} leads to ${place.kind}`)
  return { id: job.id, place, patch }
}

function integer({ fields }: GoJob, name: string): number {
  const value = Number(fields.get(name) || 0)
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new Refused(`${name} is ${JSON.stringify(fields.get(name))}, and should be a number`)
  }
  return value
}

function finite(dueMs: number): number {
  if (!Number.isFinite(dueMs)) throw new Refused('its time in the queue is not a time')
  return Math.trunc(dueMs)
}
