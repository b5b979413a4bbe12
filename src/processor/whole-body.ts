import { pause } from '../deadline.ts'
import { type ErrorCode, JobError } from '../jobs/errors.ts'
import type { FetchResponse } from './fetch/fetch.ts'
import { type Rest, type Version, WORTH_BYTES } from './fetch/version.ts'

/** The origin has no rest of what came so far: it sends the whole of what is there now. */
export class BeganAnew extends Error {
  override readonly name = 'BeganAnew'
  /** Its body is not yet read. */
  readonly response: FetchResponse
  /** What broke the transfer of what came so far. */
  override readonly cause: JobError

  constructor(response: FetchResponse, cause: JobError) {
    super('the origin began anew')
    this.response = response
    this.cause = cause
  }
}

export interface WholeBodyOptions {
  first: FetchResponse
  /** What the first response is a part of; undefined where rests are not to be asked for. */
  version: Version | undefined
  ask(rest: Rest): Promise<FetchResponse>
  /** Called when a transfer broke and is about to go on, with the bytes that are there. */
  broke?(error: JobError, from: number): void
}

/** What a transfer breaks with. A status is the origin's word, and no break: the next attempt may hear another. */
const breaks: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'body.truncated',
  'timeout.stall',
  'timeout.headers',
  'connect.refused',
  'connect.reset',
  'connect.timeout',
  'connect.unreachable',
  'connect.failed',
])

/**
 * The body of a response from where it begins to the end of the file. Where the response breaks off, the rest is asked
 * for at once, as often as that brings the file forward.
 *
 * @throws {BeganAnew} when the origin sends another version, or knows no rests
 * @throws {JobError} what the last response broke with
 * @throws the signal's reason, when it aborts
 */
export function wholeBody(options: WholeBodyOptions, signal: AbortSignal): AsyncIterator<Uint8Array> {
  const { first, version } = options
  return version ? pieced(options, version, signal) : first.body[Symbol.asyncIterator]()
}

async function* pieced({ first, ask, broke }: WholeBodyOptions, version: Version, signal: AbortSignal) {
  const { size } = version
  const patience = patienceOf()
  let at = first.from
  let response: FetchResponse | undefined = first
  let broken: JobError | undefined
  for (;;) {
    const before = at
    try {
      response ??= await ask({ version, from: at })
      if (broken && response.from !== at) throw new BeganAnew(response, broken)
      for await (const chunk of response.body) {
        at += chunk.length
        if (at > size) throw tooLong(response)
        yield chunk
      }
      if (at < size) throw endsEarly(response) // a server may send less than what was asked for
      return
    } catch (error) {
      if (!(error instanceof JobError && breaks.has(error.code))) throw error
      if (at === size) return
      if (at === 0) throw error
      await response?.discard()
      response = undefined
      broken = error
      await patience.use(error, at - before, signal)
      broke?.(error, at)
    }
  }
}

const MOST_POOR = 16
const MOST_FRUITLESS = 3
const FIRST_PAUSE_MS = 100

/** What brings a good piece may go on for ever, which is until the file is whole. All else has an end. */
function patienceOf() {
  let poor = 0
  let fruitless = 0 // in a row
  return {
    /** @throws `error` when there is no patience left, the signal's reason */
    async use(error: JobError, progress: number, signal: AbortSignal): Promise<void> {
      fruitless = progress > 0 ? 0 : fruitless + 1
      if (progress >= WORTH_BYTES) return
      if (++poor > MOST_POOR || fruitless > MOST_FRUITLESS) throw error
      if (fruitless > 0) await pause(FIRST_PAUSE_MS * 4 ** (fruitless - 1), signal)
      signal.throwIfAborted()
    },
  }
}

function endsEarly({ url, status }: FetchResponse): JobError {
  return new JobError('body.truncated', `unexpected EOF: ${new URL(url).host} sent less than it said`, {
    retriable: true,
    responseCode: status,
  })
}

function tooLong({ url, status }: FetchResponse): JobError {
  return new JobError('response.malformed', `${new URL(url).host} sent more than it said`, {
    retriable: true,
    responseCode: status,
  })
}
