import type { DownloadRequest, DownloadResult, Ended, Failure, Job } from './job.ts'

/**
 * A job as Redis holds it: the immutable request as one compact string, and a small hash of what changes.
 * The short names are part of the data format (docs/redis-keys.md): never reuse one for something else.
 */
const NAMES = {
  aggrId: 'a',
  aggrLimit: 'l',
  aggrProxy: 'p',
  url: 'u',
  callbackType: 't',
  callbackDst: 'd',
  callbackErrorType: 'T',
  callbackErrorDst: 'D',
  extra: 'e',
  mimeType: 'm',
  maxRetries: 'r',
  extractImageSize: 'i',
  checksum: 'c',
  maxBytes: 'B',
  maxPixels: 'P',
  downloadTimeoutS: 'o',
  requestHeaders: 'h',
  s3Bucket: 'b',
  s3Region: 'R',
  subpath: 's',
  priority: 'y',
  notBeforeMs: 'w',
  traceparent: 'v',
  aggrRate: 'q',
  aggrBurst: 'Q',
} as const satisfies Record<keyof DownloadRequest, string>

const fields = Object.entries(NAMES) as [keyof DownloadRequest, string][]

export function packRequest(request: DownloadRequest): string {
  const packed: Record<string, unknown> = {}
  for (const [field, name] of fields) if (request[field] !== undefined) packed[name] = request[field]
  return JSON.stringify(packed)
}

export function unpackRequest(text: string): DownloadRequest {
  const packed = JSON.parse(text) as Record<string, never>
  const request: Partial<DownloadRequest> = {}
  for (const [field, name] of fields) if (packed[name] !== undefined) request[field] = packed[name]
  return request as DownloadRequest
}

/** What `settle` may change in a job's state; numbers and JSON travel as strings. */
export interface Patch {
  attempts?: number
  throttles?: number
  deliveries?: number
  deletions?: number
  /** null: there is none any more. */
  result?: DownloadResult | null
  storage?: string
  deliveryError?: string
  failures?: Failure[]
  downloaded?: Ended
  delivered?: Ended
  receivedBytes?: number
  cancelled?: true
  /** What a job at rest can be found by, see `tagsOf`. */
  tags?: string[]
}

/** The hash fields of a patch, flat: name, value, name, value … */
export function packPatch(patch: Patch): string[] {
  const flat: string[] = []
  if (patch.attempts !== undefined) flat.push('attempts', String(patch.attempts))
  if (patch.throttles !== undefined) flat.push('throttles', String(patch.throttles))
  if (patch.deliveries !== undefined) flat.push('deliveries', String(patch.deliveries))
  if (patch.deletions !== undefined) flat.push('deletions', String(patch.deletions))
  if (patch.result !== undefined) flat.push('result', patch.result ? JSON.stringify(patch.result) : '')
  if (patch.storage !== undefined) flat.push('storage', patch.storage)
  if (patch.deliveryError !== undefined) flat.push('delivery_error', patch.deliveryError)
  if (patch.failures !== undefined) flat.push('failures', packFailures(patch.failures))
  if (patch.downloaded) flat.push('downloaded', packEnded(patch.downloaded))
  if (patch.delivered) flat.push('delivered', packEnded(patch.delivered))
  if (patch.receivedBytes !== undefined) flat.push('bytes', String(patch.receivedBytes))
  if (patch.cancelled) flat.push('cancelled', '1')
  if (patch.tags !== undefined) flat.push('tags', JSON.stringify(patch.tags))
  return flat
}

const STEPS = { download: 'd', callback: 'c' } as const

/** `d <at> <duration> <code>` each, joined by `;`: a record is kept for weeks. */
const packFailures = (failures: Failure[]): string =>
  failures.map(({ step, code, atMs, durationMs }) => `${STEPS[step]} ${atMs} ${durationMs} ${code}`).join(';')

function unpackFailures(text: string): Failure[] {
  const entries = text === '' ? [] : text.split(';')
  return entries.map((entry) => {
    const [step = '', at = '', duration = '', code = ''] = entry.split(' ')
    return {
      step: step === STEPS.callback ? 'callback' : 'download',
      code,
      atMs: Number(at),
      durationMs: Number(duration),
    }
  })
}

/** `<at> <duration>` */
const packEnded = ({ atMs, durationMs }: Ended): string => `${atMs} ${durationMs}`

function unpackEnded(text: string | undefined): Ended | undefined {
  if (text === undefined) return undefined
  const [at = '', duration = ''] = text.split(' ')
  return { atMs: Number(at), durationMs: Number(duration) }
}

/** @param state the flat hash as a script returns it */
export function unpackJob(id: string, request: string | null, state: string[]): Job {
  const of = new Map<string, string>()
  for (let i = 0; i + 1 < state.length; i += 2) of.set(state[i] as string, state[i + 1] as string)
  const result = of.get('result')
  return {
    id,
    request: request === null ? undefined : unpackRequest(request),
    attempts: Number(of.get('attempts') ?? 0),
    throttles: Number(of.get('throttles') ?? 0),
    deliveries: Number(of.get('deliveries') ?? 0),
    deletions: Number(of.get('deletions') ?? 0),
    handled: of.has('settled') || of.has('stalls'),
    stalls: Number(of.get('stalls') ?? 0),
    result: result ? (JSON.parse(result) as DownloadResult) : undefined,
    storage: of.get('storage'),
    deliveryError: of.get('delivery_error') ?? '',
    failures: unpackFailures(of.get('failures') ?? ''),
    downloaded: unpackEnded(of.get('downloaded')),
    delivered: unpackEnded(of.get('delivered')),
    receivedBytes: Number(of.get('bytes') ?? 0),
    cancelled: of.has('cancelled'),
    createdMs: Number(of.get('created') ?? 0),
  }
}
