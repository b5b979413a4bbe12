import { z } from 'zod'
import { milliseconds } from '../../milliseconds.ts'
import { AllowNetworks, AllowPorts } from '../../net/config.ts'
import { credentialHeaders, headerName, unsafeHeaderValue } from '../../net/request-headers.ts'

const Header = z
  .union([z.string(), z.number().int()], 'must be a string or an integer')
  .transform(String)
  .refine((value) => !unsafeHeaderValue.test(value), 'must not hold CR, LF or NUL')

const HeaderName = z
  .string()
  .regex(headerName, 'is not a header name')
  .refine((name) => !credentialHeaders.includes(name.toLowerCase()), 'credentials go to no other origin')

const Headers = z.record(z.string(), Header).superRefine((headers, issues) => {
  for (const name of Object.keys(headers)) {
    if (!headerName.test(name)) issues.addIssue({ code: 'custom', path: [name], message: 'is not a header name' })
  }
})

/** What the processor's section of the config says about downloads. */
export const FetchConfig = z.object({
  /** Defaults for every request; a job's own headers win. */
  request_headers: Headers.default({}),
  /** Names of headers that also go where a redirect leads to on another origin. */
  redirect_headers: z.array(HeaderName).default([]),
  /** Largest decoded body; 0 means no limit. */
  max_bytes: z.number().int().min(0).default(0),
  /** For the name, the connection and the TLS handshake together. */
  connect_timeout_ms: milliseconds.default(5000),
  headers_timeout_ms: milliseconds.default(30_000),
  /** Longest time without a byte of body. */
  stall_timeout_ms: milliseconds.default(30_000),
  /** A body that comes slower than this over a whole window is given up; 0 means no limit. */
  min_bytes_per_s: z.number().int().min(0).default(100),
  /** Seconds that we wait for bytes; time that our own disk takes does not count. */
  min_speed_window_s: z.number().positive().max(86_400).default(60),
  /** Most decoded bytes for each byte received, once a body is no small one; 0 means no limit. */
  max_decode_ratio: z.number().min(0).default(200),
  /** Addresses that are not public, and may be downloaded from all the same. */
  allow_networks: AllowNetworks,
  /** Ports that have other uses than HTTP, and may be downloaded from all the same. */
  allow_ports: AllowPorts,
})
export type FetchConfig = z.infer<typeof FetchConfig>
