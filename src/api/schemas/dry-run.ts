import { z } from 'zod'

/** Whoever asks for a dry run in other words is told so, and no job is made of it. */
export const DryRunQuery = z.object({
  dry_run: z
    .enum(['1', 'true', '0', 'false'], 'must be 1 or 0, once')
    .default('0')
    .transform((value) => value === '1' || value === 'true'),
})

/** What the guard says of one URL. */
const ExplanationView = z.strictObject({
  allowed: z.boolean().describe('nothing is known that would refuse a connection'),
  scheme: z.string(),
  host: z.string(),
  port: z.int(),
  addresses: z.array(z.strictObject({ address: z.string(), allowed: z.boolean(), reason: z.string() })),
  reasons: z.array(z.string()),
  note: z.string().describe('why there are no addresses, or empty: a name that cannot be resolved is no refusal'),
})

/** `POST /download?dry_run=1`. */
export const Verdict = z.strictObject({
  would_be_accepted: z.boolean().describe('the fields are right, and no connection that is needed would be refused'),
  reasons: z.array(z.string()).describe('`field: what is wrong with it`; none when it would be accepted'),
  request: z.record(z.string(), z.unknown()).nullable().describe('as it was understood; null when it is not valid'),
  destinations: z.record(z.string(), ExplanationView).describe('what the address guard says of each URL, by field'),
})
export type Verdict = z.infer<typeof Verdict>
