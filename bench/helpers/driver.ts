// The client that posts jobs, a process of its own.
import { Pool } from 'undici'
import { now } from '../clock.ts'
import { answer } from '../remote.ts'

export interface Posts {
  /** Where to: all of the address. */
  url: string
  count: number
  /** POSTs at once. */
  clients: number
  /** Each job goes to one of so many groups in turn: a number is put behind its `aggr_id`. */
  aggregations: number
  job: { aggr_id: string } & Record<string, unknown>
}

const pools = new Map<string, Pool>()

function poolOf(origin: string, connections: number): Pool {
  const key = `${origin} ${connections}`
  const pool = pools.get(key) ?? new Pool(origin, { connections })
  pools.set(key, pool)
  return pool
}

export const commands = {
  /** Resolves to each job's id and when its POST began. */
  async post({ url, count, clients, aggregations, job }: Posts): Promise<[id: string, atMs: number][]> {
    const { origin, pathname } = new URL(url)
    const pool = poolOf(origin, clients)
    const posted: [string, number][] = []
    let next = 0
    const client = async () => {
      for (let i = next++; i < count; i = next++) {
        const body = JSON.stringify({ ...job, aggr_id: `${job.aggr_id}-${i % aggregations}` })
        const begin = now()
        const response = await pool.request({ path: pathname, method: 'POST', body })
        const text = await response.body.text()
        if (response.statusCode !== 201) throw new Error(`${response.statusCode}: ${text}`)
        posted.push([(JSON.parse(text) as { id: string }).id, begin])
      }
    }
    await Promise.all(Array.from({ length: clients }, client))
    return posted
  },
}
answer(commands)
