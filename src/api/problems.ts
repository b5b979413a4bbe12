import { STATUS_CODES } from 'node:http'
import type { Context, Middleware } from 'koa'
import { z } from 'zod'
import type { Log } from '../log.ts'
import { RedisUnavailable } from '../queue/redis.ts'

/** An answer other than success, as `application/problem+json` (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: number
  readonly headers: Record<string, string>

  /** @param detail names the field and what was wrong with it */
  constructor(status: number, detail: string, headers: Record<string, string> = {}) {
    super(detail)
    this.status = status
    this.headers = headers
  }
}

/** Outermost middleware: routes throw, and this answers. */
export function answerProblems(log: Log): Middleware {
  return async (ctx, next) => {
    try {
      await next()
      if (ctx.status === 404 && ctx.body == null) throw noRoute(ctx)
    } catch (error) {
      const problem = problemOf(error)
      if (problem.status >= 500 && !(error instanceof RedisUnavailable)) {
        log.error({ method: ctx.method, path: ctx.path, err: error }, 'a request failed')
      }
      ctx.status = problem.status
      ctx.set(problem.headers)
      ctx.body = JSON.stringify(problemBody(problem))
      ctx.type = 'application/problem+json'
    }
  }
}

/** As it travels (RFC 9457). */
export const ProblemView = z.strictObject({
  type: z.literal('about:blank'),
  title: z.string(),
  status: z.int().min(400).max(599),
  detail: z.string().describe('names what was wrong'),
})

export const problemBody = ({ status, message }: Problem): z.infer<typeof ProblemView> => {
  return { type: 'about:blank', title: STATUS_CODES[status] ?? '', status, detail: message }
}

/** What is answered to a request that ended with `error`. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error
  if (error instanceof z.ZodError) return new Problem(400, describe(error))
  if (error instanceof RedisUnavailable) {
    return new Problem(503, 'the queue cannot take this now; try again', { 'Retry-After': '2' })
  }
  return new Problem(500, 'an internal error; the operators find it in the log')
}

/** `field: what is wrong`, for every field, joined by `; `. */
export const describe = (error: z.ZodError): string => complaints(error).join('; ')

/** `field: what is wrong`, for every field. */
export const complaints = (error: z.ZodError): string[] =>
  error.issues.map(({ path, message }) => (path.length ? `${path.join('.')}: ${message}` : message))

interface Matched {
  methods: string[]
  path: string | RegExp
}

/** No route took the request: its path is unknown (404), or known with other methods (405). */
function noRoute(ctx: Context): Problem {
  const matched = (ctx as unknown as { matched?: Matched[] }).matched ?? []
  const allow = [...new Set(matched.flatMap(({ methods }) => methods))].join(', ')
  if (!allow) return new Problem(404, `there is nothing at ${ctx.path}`)
  return new Problem(405, `${ctx.path} does not take ${ctx.method}, only ${allow}`, { Allow: allow })
}
