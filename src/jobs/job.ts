import { randomBytes } from 'node:crypto'

export type CallbackType = 'http' | 'kafka' | 'sqs'

/** What a caller asked for. Never changes once accepted. */
export interface DownloadRequest {
  aggrId: string
  /** Most downloads of the aggregation at once, over all processors. */
  aggrLimit: number
  /** Most downloads of the aggregation that begin in a second, over all processors, and how many of them at once. */
  aggrRate?: number | undefined
  aggrBurst?: number | undefined
  aggrProxy?: string | undefined
  /** The caller's string, byte for byte. */
  url: string
  /** Absent for a download into the caller's own bucket that is not called back. */
  callbackType?: CallbackType | undefined
  callbackDst?: string | undefined
  /** Where a failed download is reported instead; the type defaults to `callbackType`. */
  callbackErrorType?: CallbackType | undefined
  callbackErrorDst?: string | undefined
  extra?: string | undefined
  mimeType?: string | undefined
  maxRetries?: number | undefined
  extractImageSize?: boolean | undefined
  /** The file's digest as the caller knows it: `sha256:<hex>`, in lower case. */
  checksum?: string | undefined
  /** Most bytes of the file; the deployment's limit holds all the same. */
  maxBytes?: number | undefined
  /** Most pixels (width × height) of an image; the deployment's limit holds all the same. */
  maxPixels?: number | undefined
  downloadTimeoutS?: number | undefined
  requestHeaders?: Record<string, string> | undefined
  /** The caller's own bucket; `s3Region` comes with it. */
  s3Bucket?: string | undefined
  s3Region?: string | undefined
  /** Folder under the root, in front of the id's own. */
  subpath?: string | undefined
  /** 1 to 9: before all jobs of its aggregation with a lower one, as long as it did not fail. */
  priority?: number | undefined
  /** ms since the epoch: it does not start before. */
  notBeforeMs?: number | undefined
  /** The span that accepted it, as W3C Trace Context writes it; absent when its caller traces nothing. */
  traceparent?: string | undefined
}

/**
 * ms of an attempt: for names, for connections and for TLS, over all redirects; until the head of the last response was
 * here (0: none came); until its last byte was, or the attempt failed.
 */
export type Timings = readonly [dns: number, connect: number, tls: number, firstByte: number, total: number]

/** How a download ended. */
export interface DownloadResult {
  success: boolean
  /** `""` or the text that the callback carries. */
  error: string
  errorCode: string
  responseCode: number
  imageSize: string
  size: number
  sha256: string
  mimeType: string
  /** Relative path of the stored file; absent when nothing of ours is to be deleted. */
  path?: string | undefined
  /** Absent when no attempt was made. */
  timings?: Timings | undefined
  /** Absent when there were none. */
  redirects?: number | undefined
  /** Where they led, without credentials and query; absent when there were none. */
  finalUrl?: string | undefined
}

/** When an attempt ended, ms since the epoch, by the clock of the process that ran it. */
export interface Ended {
  atMs: number
  durationMs: number
}

/** An attempt that failed: at the download, or at the callback. */
export interface Failure extends Ended {
  step: 'download' | 'callback'
  /** See `ErrorCode`. */
  code: string
}

/** So many of a job's failures are remembered, the last ones. */
export const MAX_FAILURES = 8

/** A job as it is known to whoever claims it. */
export interface Job {
  id: string
  /** Gone once the callback was delivered: deletion and look-ups need only what is below. */
  request: DownloadRequest | undefined
  /** Download attempts that ended, stalls not counted. */
  attempts: number
  /** How often the origin said that it was asked too fast: no attempts. */
  throttles: number
  /** Callback attempts that ended since the callback was queued or retried by hand. */
  deliveries: number
  /** Deletion attempts that ended. */
  deletions: number
  /** Whether a worker had this job before, however that ended. */
  handled: boolean
  /** How often a worker died or froze with this job in the room where it is now. */
  stalls: number
  result: DownloadResult | undefined
  /** Which storage's deletions room the job goes through at the end. */
  storage: string | undefined
  /** Why the last delivery failed, or `""`. */
  deliveryError: string
  /** The last attempts that failed, oldest first. */
  failures: Failure[]
  /** The attempts that succeeded. */
  downloaded: Ended | undefined
  delivered: Ended | undefined
  /** Decoded bytes that the attempt under way had received when its lease was extended last. */
  receivedBytes: number
  /** Its caller does not want it any more. */
  cancelled: boolean
  /** ms since the epoch, by Redis's clock. */
  createdMs: number
}

const ID_BYTES = 10
/** So many ids in a row share their first three characters: those name the folder of the file (see `filePath`). */
const IDS_A_FOLDER = 64

let random = Buffer.alloc(0)

/**
 * 10 random bytes from the CSPRNG, base64url: 14 characters. Of its 80 bits the first 18, its folder, are drawn anew for
 * every 64th id only: to make a folder, and to sync it, costs as much as the file (docs/performance.md). 62 bits that
 * nobody can guess are left.
 */
export function newJobId(): string {
  if (random.length <= ID_BYTES) random = randomBytes(ID_BYTES * (IDS_A_FOLDER + 1))
  const folder = random.toString('base64url', random.length - ID_BYTES).slice(0, 3)
  const own = random.toString('base64url', 0, ID_BYTES).slice(3)
  random = random.subarray(ID_BYTES)
  return folder + own
}

const JOB_ID = /^[A-Za-z0-9_-]{14}$/
export const isJobId = (text: string): boolean => JOB_ID.test(text)

/** `[<subpath>/]<first 3 of id>/<id>`, relative to the root of the storage. */
export function filePath(id: string, subpath?: string): string {
  const own = `${id.slice(0, 3)}/${id}`
  return subpath ? `${subpath}/${own}` : own
}

/** The id of the job whose file would lie at a path or in a URL like this one, see `filePath`. */
export function idOfFile(path: string): string | undefined {
  const [folder, id = ''] = path.split('/').slice(-2)
  return isJobId(id) && folder === id.slice(0, 3) ? id : undefined
}
