import type { IncomingHttpHeaders } from 'node:http'
import type { Journey } from './journey.ts'
import type { Rest, Version } from './version.ts'

export interface FetchRequest {
  /** http or https; credentials in it are sent as Basic authorization. */
  url: string
  /** Names in any case, values without CR, LF or NUL; those that belong to the connection are dropped. */
  headers: Record<string, string>
  /** http or https address of the aggregation's proxy. */
  proxy?: string | undefined
  /** Most bytes of decoded body; 0 means no limit. */
  maxBytes: number
  /** What is missing of a file whose beginning is there already; whoever gets the whole instead has to begin anew. */
  rest?: Rest | undefined
  /** Told as it goes: what came of a fetch that failed, too. */
  journey?: Journey | undefined
}

/** A response below 400, its body not yet read. Read `body` to its end, or call `discard`. */
export interface FetchResponse {
  status: number
  headers: IncomingHttpHeaders
  /** Where the redirects ended. */
  url: string
  redirects: number
  /** Where in the file `body` begins: at 0, unless it is the `rest` that was asked for, or the first part of it. */
  from: number
  /** Given where the rest can be asked for, should the body end early; it is identity-encoded then, as far as we know. */
  version: Version | undefined
  /**
   * The decoded content, to be read once. Ends properly or throws a {JobError}: `body.truncated` (text contains
   * `unexpected EOF`), `response.malformed`, `body.encoding`, `timeout.stall`, `limit.bytes`; or the signal's reason.
   */
  body: AsyncIterable<Uint8Array>
  /** Resolves when the origin has the request open no more, as it has not either once `body` was read to its end. */
  discard(): Promise<void>
}

export interface Fetcher {
  /**
   * @throws {JobError} for every status of 400 and above, and every failure of the network, the guard or the protocol
   * @throws the signal's reason, when it aborts (also while the body is read)
   */
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchResponse>
  close(): Promise<void>
}
