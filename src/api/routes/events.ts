import { PassThrough } from 'node:stream'
import Router from '@koa/router'
import type { Events, Told } from '../../queue/events.ts'
import { Problem } from '../problems.ts'
import { parseQuery } from '../query.ts'
import { EventQuery } from '../schemas/event.ts'

export interface EventDeps {
  events: Pick<Events, 'listen' | 'tell'>
  /** When it aborts, every stream ends. */
  stop: AbortSignal
}

/** What may wait for one client; what comes beyond that is counted, and dropped. */
const MAX_WAITING_BYTES = 256 * 1024
const MAX_CLIENTS = 200
/** Proxies end a connection on which nothing comes for a minute. */
const KEEP_ALIVE_MS = 15_000

/** `GET /events`: what happens to jobs, as it happens, as server-sent events. */
export function eventRoutes({ events, stop }: EventDeps): Router {
  const open = new Set<PassThrough>()
  const endAll = () => {
    for (const stream of open) stream.end()
  }
  stop.addEventListener('abort', endAll, { once: true })

  return new Router().get('/events', (ctx) => {
    const fits = filter(parseQuery(EventQuery, ctx.query))
    if (open.size >= MAX_CLIENTS || stop.aborted) {
      throw new Problem(503, `${open.size} clients listen already, or this process stops`, { 'Retry-After': '10' })
    }
    const stream = new PassThrough({ highWaterMark: MAX_WAITING_BYTES })
    let dropped = 0
    const send = (event: string, data: unknown) => {
      stream.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)
    }
    const end = events.listen((event) => {
      if (!fits(event)) return
      if (stream.writableLength + ctx.res.writableLength > MAX_WAITING_BYTES) {
        dropped++
        return
      }
      if (dropped > 0) send('dropped', dropped)
      dropped = 0
      send('job', view(event))
    })
    const keepAlive = setInterval(() => {
      if (stream.writableLength === 0) stream.write(':\n\n')
    }, KEEP_ALIVE_MS)
    open.add(stream)
    stream.once('close', () => {
      end()
      clearInterval(keepAlive)
      open.delete(stream)
    })
    ctx.set('Cache-Control', 'no-store')
    ctx.set('X-Accel-Buffering', 'no') // nginx would gather
    ctx.type = 'text/event-stream'
    ctx.body = stream
    stream.write(': listening\n\n') // browsers wait for the first byte
    ctx.flushHeaders()
  })
}

const filter = ({ job_id, aggr_id, event: name }: EventQuery) => {
  return ({ id, group, event }: Told) =>
    (job_id === undefined || id === job_id) &&
    (aggr_id === undefined || group === aggr_id) &&
    (name === undefined || event === name)
}

const view = ({ atMs, id, event, room, group, code }: Told) => {
  return { at: new Date(atMs).toISOString(), id, event, room, group, ...(code === undefined ? {} : { code }) }
}
