import { z } from 'zod'
import { milliseconds } from '../../milliseconds.ts'
import { parseNetwork } from '../../net/address-guard.ts'
import { headerName, unsafeHeaderValue } from '../../net/request-headers.ts'

const Network = z.string().superRefine((text, issues) => {
  try {
    parseNetwork(text)
  } catch (error) {
    issues.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
  }
})

const Header = z
  .union([z.string(), z.number().int()], 'must be a string or an integer')
  .transform(String)
  .refine((value) => !unsafeHeaderValue.test(value), 'must not hold CR, LF or NUL')

const Headers = z.record(z.string(), Header).superRefine((headers, issues) => {
  for (const name of Object.keys(headers)) {
    if (!headerName.test(name)) issues.addIssue({ code: 'custom', path: [name], message: 'is not a header name' })
  }
})

/** What the processor's section of the config says about downloads. */
export const FetchConfig = z.object({
  /** Defaults for every request; a job's own headers win. */
  request_headers: Headers.default({}),
  /** Largest decoded body; 0 means no limit. */
  max_bytes: z.number().int().min(0).default(0),
  /** For the name, the connection and the TLS handshake together. */
  connect_timeout_ms: milliseconds.default(5000),
  headers_timeout_ms: milliseconds.default(30_000),
  /** Longest time without a byte of body. */
  stall_timeout_ms: milliseconds.default(30_000),
  /** CIDRs that are exempt from the address guard. */
  allow_networks: z.array(Network).default([]),
})
export type FetchConfig = z.infer<typeof FetchConfig>
