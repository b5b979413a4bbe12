import { setTimeout as delay } from 'node:timers/promises'
import type { Random } from './random.ts'
import type { Trouble } from './recorder.ts'
import type { World } from './world.ts'

/** Aggregations and their limits. */
export const GROUPS: Record<string, number> = { one: 1, two: 2, three: 3, five: 5, eight: 8, probe: 4 }

/** One POST, and what became of it. */
export interface Post {
  n: number
  /** Known when it was answered with 201. */
  id: string | undefined
  /** `accepted`: 201; `refused`: nobody can have it; `unknown`: no answer, or 503. */
  end: 'accepted' | 'refused' | 'unknown'
  /** ms since the epoch of the answer. */
  at: number
}

export interface Client {
  readonly posts: Post[]
  /** Posts so many jobs a second until `until` resolves. */
  load(perSecond: number, until: Promise<unknown>): Promise<void>
  /** Posts one job that gives no trouble, until it is accepted; resolves to its number. */
  probe(withinMs: number): Promise<number>
}

const TROUBLES: readonly Trouble[] = ['none', 'none', 'none', 'none', 'slow', 'reset', 'stall', 'cut', '500', '429']
const RECEIVERS = ['good', 'good', 'good', 'fails', 'hangs'] as const

export function clientOf(world: World, random: Random): Client {
  const posts: Post[] = []
  let n = 0

  async function post(trouble: Trouble, group: string, receiver: string): Promise<Post> {
    const number = ++n
    const times = trouble === 'none' ? 0 : random.int(1, 2)
    const ms = random.int(5, 120)
    const job = {
      aggr_id: group,
      aggr_limit: GROUPS[group],
      url: `${world.origin}/g/${group}/${number}/${trouble}/${times}/${ms}`,
      callback_type: 'http',
      callback_dst: `${world.receiver}/${receiver}`,
      extra: String(number),
    }
    const made: Post = { n: number, id: undefined, end: 'unknown', at: 0 }
    posts.push(made)
    try {
      const signal = AbortSignal.timeout(3000)
      const response = await fetch(`${world.url}/download`, { method: 'POST', body: JSON.stringify(job), signal })
      const body = (await response.json()) as { id?: string }
      if (response.status === 201) Object.assign(made, { id: body.id, end: 'accepted' })
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } }
      if (cause?.code === 'ECONNREFUSED') made.end = 'refused'
    }
    made.at = Date.now()
    return made
  }

  return {
    posts,
    async load(perSecond, until) {
      let done = false
      void until.finally(() => {
        done = true
      })
      const running = new Set<Promise<unknown>>()
      while (!done) {
        const one: Promise<unknown> = post(
          random.pick(TROUBLES),
          random.pick(Object.keys(GROUPS)),
          random.pick(RECEIVERS),
        ).finally(() => running.delete(one))
        running.add(one)
        await delay(1000 / perSecond)
      }
      await Promise.all(running)
    },
    async probe(withinMs) {
      const deadline = performance.now() + withinMs
      for (;;) {
        const { n, end } = await post('none', 'probe', 'good')
        if (end === 'accepted') return n
        if (performance.now() > deadline)
          throw new Error(`no job was accepted within ${withinMs} ms after all was healed`)
        await delay(50)
      }
    },
  }
}
