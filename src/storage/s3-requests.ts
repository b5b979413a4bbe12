import { createReadStream, type ReadStream } from 'node:fs'
import type { S3 } from '@aws-sdk/client-s3'
import { pause, withDeadline } from '../deadline.ts'
import { JobError } from '../jobs/errors.ts'
import type { S3Config } from './config.ts'
import { s3Failure } from './s3-failure.ts'
import type { TempFile } from './storage.ts'

export type S3RequestsOptions = Pick<S3Config, 'region' | 'endpoint' | 'force_path_style'> & {
  /** Requests at once. */
  connections: number
  /** How long S3 may neither send nor take anything. */
  silenceMs: number
}

export interface S3Request {
  bucket: string
  /** What S3 has to take in; adds to the deadline. */
  bytes?: number
  /** Where in a file these bytes are, if they are sent as a body. */
  from?: { file: TempFile; start: number }
  /** Called before each try; what it throws ends the request. */
  confirm?: () => void
}

type Body = Partial<{ Body: ReadStream | Buffer; ContentLength: number }>

/** Sends a request once, by a method of `s3`, with the body if there is one. */
export type S3Call<T> = (s3: S3, options: { abortSignal: AbortSignal }, body: Body) => Promise<T>

const TRIES = 3
const FIRST_PAUSE_MS = 100
const CONNECT_TIMEOUT_MS = 5000
/** Who takes less than this is not waited for, even if now and then a byte moves. */
const SLOWEST_BYTES_PER_MS = 16
const READ_BYTES = 256 * 1024

/** Requests to the S3 of one region. The SDK is loaded, and a client made, on first use. */
export function s3Requests({ region, endpoint, force_path_style, connections, silenceMs }: S3RequestsOptions) {
  let loading: Promise<S3> | undefined

  async function load() {
    // The SDK announces on each start that it will want a newer Node one day.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true'
    const { S3 } = await import('@aws-sdk/client-s3')
    return new S3({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      ...(force_path_style === undefined ? {} : { forcePathStyle: force_path_style }),
      maxAttempts: 1, // a body that is streamed cannot be sent again by the SDK: we do
      logger: { debug() {}, info() {}, warn() {}, error() {} }, // or it tells the console so
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_TIMEOUT_MS,
        socketTimeout: silenceMs,
        httpAgent: { maxSockets: connections },
        httpsAgent: { maxSockets: connections },
      },
    })
  }

  /** One try. Ends at once when the signal aborts or the body cannot be read, whatever the SDK is waiting for. */
  async function once<T>({ from, bytes = 0 }: S3Request, call: S3Call<T>, signal: AbortSignal): Promise<T> {
    loading ??= load()
    const s3 = await loading
    signal.throwIfAborted()
    const ending = new AbortController()
    const { start = 0, file } = from ?? {}
    const memory = file?.bytes?.subarray(start, start + bytes)
    const stream = file && !memory ? createReadStream(file.path, range(start, bytes)) : undefined
    try {
      return await new Promise<T>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        stream?.once('error', (error) => reject(unreadable(error)))
        stream?.once('end', () => stream.bytesRead < bytes && reject(unreadable(new Error('it is too short'))))
        const body = memory ?? stream
        const sent = body ? { Body: body, ContentLength: bytes } : {}
        call(s3, { abortSignal: ending.signal }, sent).then(resolve, reject)
      })
    } catch (error) {
      ending.abort()
      throw error
    } finally {
      stream?.destroy()
    }
  }

  return {
    /**
     * Sends a request, and again while its failure may pass. Each try has a deadline: the SDK has none for a server
     * that sends a byte now and then, or for credentials that do not come.
     *
     * @throws {JobError} `storage.*`
     * @throws what `confirm` throws, and the signal's reason when it aborts
     */
    async send<T>(request: S3Request, call: S3Call<T>, signal: AbortSignal): Promise<T> {
      const deadlineMs = silenceMs + (request.bytes ?? 0) / SLOWEST_BYTES_PER_MS
      for (let tries = 1; ; tries++) {
        signal.throwIfAborted()
        request.confirm?.()
        try {
          return await withDeadline(deadlineMs, signal, (signal) => once(request, call, signal))
        } catch (error) {
          signal.throwIfAborted()
          if (error instanceof JobError) throw error
          const failure = s3Failure(error, request.bucket, region)
          if (!(failure instanceof JobError && failure.retriable) || tries === TRIES) throw failure
          await pause(FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random()), signal)
        }
      }
    },

    async close(): Promise<void> {
      if (loading) (await loading).destroy()
    },
  }
}

export type S3Requests = ReturnType<typeof s3Requests>

/** Options of `createReadStream` for `bytes` of a file. Its `end` is included, so a byte is asked for where none is. */
export const range = (start: number, bytes: number) => ({
  start,
  end: Math.max(start, start + bytes - 1),
  highWaterMark: READ_BYTES,
})

/** The temporary file is not what it was: the disk fails, or somebody was at it. The next attempt makes a new one. */
export function unreadable(cause: Error): JobError {
  const why = (cause as NodeJS.ErrnoException).code ?? cause.message
  return new JobError('storage.failed', `the temporary file could not be read: ${why}`, { retriable: true, cause })
}
