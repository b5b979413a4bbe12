import { urlsOf } from '../destinations.ts'
import { type DownloadBody, downloadBodySchema } from '../download-request.ts'
import type { CallbackType } from '../jobs/job.ts'
import type { Guards } from '../net/address-guard.ts'
import { type Explanation, explainUrl } from '../net/explain.ts'
import type { Resolver } from '../net/resolver.ts'
import { complaints } from './problems.ts'

/** What would become of a request, as far as it can be known without sending one. */
export interface Verdict {
  /** Nothing is known against it: the fields are right, and no connection that it needs would be refused. */
  would_be_accepted: boolean
  /** `field: what is wrong with it`; none when it would be accepted. */
  reasons: string[]
  /** As it was understood; null when it is not a valid one. */
  request: DownloadBody | null
  /** What the guard says of each URL in it, by field. */
  destinations: Record<string, Explanation>
}

export interface DryRunDeps {
  backends: readonly CallbackType[]
  guards: Guards
  /** Bounds the whole: names are looked up at the same time. */
  resolver: Resolver
}

/** `POST /download?dry_run=1`: a request is checked, its names are looked up and judged, and nothing is enqueued. */
export function dryRun({ backends, guards, resolver }: DryRunDeps): (body: unknown) => Promise<Verdict> {
  const schema = downloadBodySchema(backends)
  return async (body) => {
    const parsed = schema.safeParse(body)
    if (!parsed.success) {
      return { would_be_accepted: false, reasons: complaints(parsed.error), request: null, destinations: {} }
    }
    const request = parsed.data
    const explained = await Promise.all(
      urlsOf(request).map(async ({ field, url, policy }) => {
        const byProxy = field === 'url' && request.aggr_proxy !== undefined
        return [field, await explainUrl(url, guards[policy], byProxy ? undefined : resolver)] as const
      }),
    )
    const reasons = explained.flatMap(([field, explanation]) => explanation.reasons.map((why) => `${field}: ${why}`))
    const destinations = Object.fromEntries(explained)
    return { would_be_accepted: reasons.length === 0, reasons, request, destinations }
  }
}
