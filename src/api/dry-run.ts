import { urlsOf } from '../destinations.ts'
import { downloadBodySchema } from '../download-request.ts'
import type { CallbackType } from '../jobs/job.ts'
import type { Guards } from '../net/address-guard.ts'
import { explainUrl } from '../net/explain.ts'
import type { Resolver } from '../net/resolver.ts'
import { complaints, Problem } from './problems.ts'
import type { Verdict } from './schemas/dry-run.ts'

export interface DryRunDeps {
  backends: readonly CallbackType[]
  guards: Guards
  /** Bounds the whole: names are looked up at the same time. */
  resolver: Resolver
}

/** Each may look up a few names, and wait for each as long as the resolver does. */
const MAX_AT_ONCE = 32

/** `POST /download?dry_run=1`: a request is checked, its names are looked up and judged, and nothing is enqueued. */
export function dryRun({ backends, guards, resolver }: DryRunDeps): (body: unknown) => Promise<Verdict> {
  const schema = downloadBodySchema(backends)
  let underWay = 0
  return async (body) => {
    if (underWay >= MAX_AT_ONCE) {
      throw new Problem(503, `${MAX_AT_ONCE} dry runs are under way already; try again`, { 'Retry-After': '2' })
    }
    underWay++
    return rehearse(body).finally(() => underWay--)
  }

  async function rehearse(body: unknown): Promise<Verdict> {
    const parsed = schema.safeParse(body)
    if (!parsed.success) {
      return { would_be_accepted: false, reasons: complaints(parsed.error), request: null, destinations: {} }
    }
    const { not_before, ...request } = parsed.data
    const due = not_before === undefined ? {} : { not_before: new Date(not_before).toISOString() }
    const explained = await Promise.all(
      urlsOf(request).map(async ({ field, url, policy }) => {
        const byProxy = field === 'url' && request.aggr_proxy !== undefined
        return [field, await explainUrl(url, guards[policy], byProxy ? undefined : resolver)] as const
      }),
    )
    const reasons = explained.flatMap(([field, explanation]) => explanation.reasons.map((why) => `${field}: ${why}`))
    const destinations = Object.fromEntries(explained)
    return { would_be_accepted: reasons.length === 0, reasons, request: { ...request, ...due }, destinations }
  }
}
