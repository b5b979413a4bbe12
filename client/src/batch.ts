import type { PostDownloadBody, Problem } from './api.ts'
import { pause } from './deadline.ts'
import { ApiProblem, ApiUnreachable } from './errors.ts'
import type { Http } from './http.ts'

export interface BatchOptions {
  /** Jobs of one request (1,000; the API takes 10,000). */
  chunk?: number
  /** The same jobs in the same order under the same key are accepted once within 24 hours; random unless given. */
  idempotencyKey?: string
  /** How often a request is sent again that was not answered, or with 503 (5). */
  retries?: number
  signal?: AbortSignal | undefined
}

/** What became of one job, by its position among those given, from 0. */
export type BatchResult = { index: number; id: string } | { index: number; problem: Problem }

/** The default of the API's `api.max_batch_bytes` is 16 MiB. */
const CHUNK_CHARACTERS = 4 * 1024 * 1024
const FIRST_WAIT_S = 1
const MAX_WAIT_S = 30

/**
 * Enqueues any number of jobs, and yields what became of each in the order given. Requests that are not answered are
 * sent again under the same `Idempotency-Key`, so that no job is accepted twice.
 *
 * @throws {ApiUnreachable | ApiProblem} after `retries`; what was yielded before is accepted
 */
export async function* batch(
  http: Http,
  jobs: Iterable<PostDownloadBody> | AsyncIterable<PostDownloadBody>,
  { chunk = 1000, idempotencyKey = crypto.randomUUID(), retries = 5, signal }: BatchOptions = {},
): AsyncGenerator<BatchResult> {
  let lines: string[] = []
  let characters = 0
  let first = 0
  let number = 0
  const send = async () => {
    const answers = await sendChunk(http, lines, `${idempotencyKey}-${number++}`, retries, signal)
    const results = answers.map((answer, i): BatchResult => {
      const index = first + i
      return 'id' in answer ? { index, id: answer.id } : { index, problem: answer.error }
    })
    first += lines.length
    lines = []
    characters = 0
    return results
  }
  for await (const job of jobs) {
    const line = JSON.stringify(job)
    if (lines.length === chunk || (lines.length > 0 && characters + line.length > CHUNK_CHARACTERS)) yield* await send()
    lines.push(line)
    characters += line.length
  }
  if (lines.length > 0) yield* await send()
}

type ItemAnswer = { id: string } | { error: Problem }

async function sendChunk(http: Http, lines: string[], key: string, retries: number, signal: AbortSignal | undefined) {
  const request = { method: 'POST', body: lines.join('\n'), headers: { 'idempotency-key': key }, signal } as const
  for (let attempt = 0; ; attempt++) {
    let trouble: unknown
    let answers: ItemAnswer[] = []
    try {
      answers = (await http.json<ItemAnswer[]>('/downloads', request)).body
      if (!Array.isArray(answers) || answers.length !== lines.length) {
        throw new ApiUnreachable(`${lines.length} jobs were sent, and not as many answers came`)
      }
      // 503: not known to be kept. Those that are get the same id again.
      if (!answers.some((answer) => 'error' in answer && answer.error.status === 503)) return answers
    } catch (error) {
      trouble = error
    }
    const canRepeat = trouble === undefined || isPassing(trouble)
    if (!canRepeat || attempt >= retries) {
      if (trouble !== undefined) throw trouble
      return answers
    }
    const wanted = trouble instanceof ApiProblem ? trouble.retryAfterS : undefined
    await pause(Math.min(wanted ?? FIRST_WAIT_S * 2 ** attempt, MAX_WAIT_S) * 1000, signal)
  }
}

const isPassing = (error: unknown) =>
  error instanceof ApiUnreachable || (error instanceof ApiProblem && [429, 502, 503, 504].includes(error.status))
