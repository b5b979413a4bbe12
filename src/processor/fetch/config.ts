import { z } from 'zod'
import { milliseconds } from '../../milliseconds.ts'
import { AllowNetworks, AllowPorts } from '../../net/config.ts'
import { headerName, unsafeHeaderValue } from '../../net/request-headers.ts'

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
  /** Addresses that are not public, and may be downloaded from all the same. */
  allow_networks: AllowNetworks,
  /** Ports that have other uses than HTTP, and may be downloaded from all the same. */
  allow_ports: AllowPorts,
})
export type FetchConfig = z.infer<typeof FetchConfig>
