import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type DownloadRequest, type DownloadResult, newJobId } from '../../../src/jobs/job.ts'
import { unpackJob } from '../../../src/jobs/record.ts'
import type { Lease } from '../../../src/leases.ts'
import { addressGuard } from '../../../src/net/address-guard.ts'
import { resolver } from '../../../src/net/resolver.ts'
import { attempt } from '../../../src/processor/attempt.ts'
import { FetchConfig } from '../../../src/processor/fetch/config.ts'
import { fetcher } from '../../../src/processor/fetch/fetcher.ts'
import { newJourney } from '../../../src/processor/fetch/journey.ts'
import { type Partials, partials } from '../../../src/processor/partials.ts'
import { storing } from '../../../src/processor/storing.ts'
import { instanceName, type TempFiles, tempFiles } from '../../../src/processor/temp-files.ts'
import { mimeDetector } from '../../../src/processor/verify/mime-detector.ts'
import { callerBuckets } from '../../../src/storage/caller-buckets.ts'
import { filesystemStorage } from '../../../src/storage/filesystem.ts'
import { type Origin, startOrigin } from '../../support/http-origin.ts'
import { never, recordingLog, request } from '../../support/queue.ts'
import { type Fault, type Served, serve } from '../../support/versions.ts'

/** What attempts at jobs need, of as many processors as a test wants, and an origin. */
export interface Workshop extends AsyncDisposable {
  origin: Origin
  dir: string
  /** Names in `storage_dir`. */
  left(): Promise<string[]>
  /** The content of a stored file. */
  stored(id: string): Promise<Buffer>
  processor(options?: ProcessorOptions): TestProcessor
}

export interface ProcessorOptions {
  /** Whose process this is: one that ended, or one that lives and may only be frozen. */
  process?: 'ended' | 'living'
  maxBytes?: number
  resume?: boolean
  isWanted?: (id: string) => Promise<boolean>
}

export interface TestProcessor {
  files: TempFiles
  partials: Partials
  /** One attempt, which is not the first one unless `id` is new. */
  attempt(url: string, options?: AttemptOptions): Promise<DownloadResult>
}

export interface AttemptOptions {
  id?: string
  request?: Partial<DownloadRequest>
  signal?: AbortSignal
  confirm?: () => void
}

/** The id of a parent stands for a process that lives. */
const pids = { ended: process.pid, living: process.ppid }

export async function startWorkshop(config: Partial<FetchConfig> = {}): Promise<Workshop> {
  const base = await mkdtemp(path.join(tmpdir(), 'resume-'))
  const dir = path.join(base, 'tmp')
  const root = path.join(base, 'files')
  const origin = await startOrigin()
  const settings = FetchConfig.parse({ allow_networks: ['127.0.0.1/32'], ...config })
  const names = resolver()
  const fetch = fetcher({
    config: settings,
    guard: addressGuard('downloads', settings.allow_networks),
    resolver: names,
  })
  const storage = filesystemStorage({ rootdir: root })
  const buckets = callerBuckets({ type: 'filesystem', rootdir: root })
  const mime = mimeDetector(recordingLog().log)
  const [host] = instanceName().split('-')
  const known = new Set<string>()

  return {
    origin,
    dir,
    left: async () => (await readdir(dir).catch(() => [])).sort(),
    stored: (id) => readFile(path.join(root, id.slice(0, 3), id)),

    processor({ process = 'ended', maxBytes = 0, resume = true, isWanted = async () => true } = {}) {
      const instance = `${host}-${pids[process]}-${randomBytes(4).toString('hex')}`
      const files = tempFiles({ dir, instance, minAgeMs: 0, alive: async () => new Set() })
      const kept = partials({ files, isWanted, resume })
      const run = attempt({
        fetcher: fetch,
        partials: kept,
        mime,
        store: storing(storage, buckets),
        maxBytes,
        maxPixels: 0,
        log: recordingLog().log,
      })
      return {
        files,
        partials: kept,
        attempt(url, { id = newJobId(), request: fields = {}, signal = never, confirm = () => {} } = {}) {
          const asked = request({ url, ...fields })
          const job = { ...unpackJob(id, null, []), request: asked, handled: known.has(id) }
          known.add(id)
          const lease: Lease = {
            claim: { job, token: 't', group: 'g', gift: '', watched: '' },
            signal,
            confirm,
            leave() {},
            progress() {},
            async turn() {},
          }
          return run(job, asked, lease, newJourney())
        },
      }
    },

    async [Symbol.asyncDispose]() {
      await Promise.all([fetch.close(), storage.close(), buckets.close(), mime.close(), origin[Symbol.asyncDispose]()])
      names.close()
      await rm(base, { recursive: true })
    },
  }
}

/** A path of the origin, and what was asked of it. */
export interface Path {
  url: string
  requests: IncomingMessage[]
  /** Bytes of bodies that were sent. */
  sent: number
}

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown

/**
 * @param answers one for each request, the last one for all that follow: a fault in serving `file`, or what answers instead
 */
export function serving(origin: Origin, file: Served, ...answers: (Fault | Answer)[]): Path {
  const served: Path = { url: '', requests: [], sent: 0 }
  served.url = origin.on(`/${randomBytes(4).toString('hex')}`, async (request, response) => {
    const answer = answers[Math.min(served.requests.length, answers.length - 1)] ?? {}
    served.requests.push(request)
    if (typeof answer === 'function') answer(request, response)
    else served.sent += await serve(request, response, file, answer)
  })
  return served
}

export const MiB = 1024 * 1024

/** A file that nobody else has, with a strong entity tag. */
export function fileOf(size: number, headers?: Record<string, string>): Served {
  const body = randomBytes(size)
  return { body, headers: headers ?? { etag: `"${sha256(body).slice(0, 16)}"` } }
}

export const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** The ranges that were asked for; undefined for a whole. */
export const rangesOf = ({ requests }: Path) => requests.map(({ headers }) => headers.range)
