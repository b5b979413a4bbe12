import { setTimeout as delay } from 'node:timers/promises'
import { nowMs } from './clock.ts'
import { planOf } from './plan.ts'
import type { Recorder } from './recorder-process.ts'
import { DOWNLOAD_RETRIES } from './settings.ts'

/** What became of one POST. */
export interface Post {
  n: number
  api: string
  sentMs: number
  /** Absent while it is under way. */
  answeredMs?: number
  /** Given with a 201. Without it nobody knows whether the job was accepted. */
  id?: string
  /** Why there is no id. */
  trouble?: string
}

const ANSWER_MS = 4000

export interface ClientOptions {
  seed: string
  /** Jobs a second. */
  rate: number
  /** API → URL; job n goes to one after the other. */
  apis: [name: string, url: string][]
  recorder: Pick<Recorder, 'originUrl' | 'receiverUrls'>
}

/** Posts jobs at a steady rate, whatever is answered; none is posted twice. */
export function startClient({ seed, rate, apis, recorder }: ClientOptions) {
  const posts: Post[] = []
  const underWay = new Set<Promise<void>>()
  const stopping = new AbortController()

  async function post(n: number): Promise<void> {
    const [api = '', url = ''] = apis[n % apis.length] ?? []
    const record: Post = { n, api, sentMs: nowMs() }
    posts.push(record)
    try {
      const response = await fetch(`${url}/download`, {
        method: 'POST',
        body: JSON.stringify(requestOf(n)),
        signal: AbortSignal.timeout(ANSWER_MS),
      })
      const body = (await response.json()) as { id?: string; detail?: string }
      if (response.status === 201 && body.id) record.id = body.id
      else record.trouble = `${response.status} ${body.detail}`
    } catch (error) {
      const { cause, message } = error as Error
      record.trouble = String((cause as NodeJS.ErrnoException | undefined)?.code ?? message)
    }
    record.answeredMs = nowMs()
  }

  function requestOf(n: number) {
    const { aggregation, limit, receiver } = planOf(seed, n)
    return {
      aggr_id: aggregation,
      aggr_limit: limit,
      url: `${recorder.originUrl}/${n}`,
      callback_type: 'http',
      callback_dst: recorder.receiverUrls[receiver],
      extra: String(n),
      max_retries: DOWNLOAD_RETRIES,
    }
  }

  async function run(): Promise<void> {
    const startMs = nowMs()
    for (let n = 0; !stopping.signal.aborted; n++) {
      const task = post(n).finally(() => underWay.delete(task))
      underWay.add(task)
      // at its time, not so long after the last one: a slow answer must not slow the rate
      const waitMs = startMs + ((n + 1) * 1000) / rate - nowMs()
      if (waitMs > 0) await delay(waitMs, undefined, { signal: stopping.signal }).catch(() => {})
    }
    await Promise.all(underWay)
  }

  const running = run()
  async function stop(): Promise<void> {
    stopping.abort()
    await running
  }
  return {
    posts,
    /** Posts no more; resolves when all is answered. */
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

export type ChaosClient = ReturnType<typeof startClient>
