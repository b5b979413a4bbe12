import { JobError } from '../../jobs/errors.ts'
import type { AddressGuard } from '../../net/address-guard.ts'
import { guardedConnector } from '../../net/connector.ts'
import { urlRefusal } from '../../net/refusals.ts'
import { basicAuthorization, withoutConnectionHeaders } from '../../net/request-headers.ts'
import type { Resolver } from '../../net/resolver.ts'
import type { FetchConfig } from './config.ts'
import { connections, type Route } from './connections.ts'
import { received } from './content.ts'
import { networkFailure, proxyRefusal, statusFailure } from './errors.ts'
import { exchange, type Response } from './exchange.ts'
import type { Fetcher, FetchRequest, FetchResponse } from './fetch.ts'
import { headersForOthers, type RequestHead, redirectedHead, requestHead, restHead } from './headers.ts'
import { type Journey, newJourney } from './journey.ts'
import { type HttpProxy, parseProxy } from './proxy.ts'
import { isHttp, isSameHome, mostRedirects, redirectTarget, tooManyRedirects } from './redirects.ts'
import { retryAfterMs } from './retry-after.ts'
import { unexpected } from './unexpected.ts'
import { asksForWhole, isRest } from './version.ts'

export interface FetcherOptions {
  config: Omit<FetchConfig, 'allow_networks' | 'max_bytes'>
  guard: AddressGuard
  /** Stays the caller's to close. */
  resolver: Resolver
  /** PEM certificates to trust beside Node's own. */
  ca?: string | undefined
}

/** What one hop of a fetch needs to know. */
interface Hop {
  /** Without credentials: they are in the head. */
  url: URL
  head: RequestHead
  proxy: HttpProxy | undefined
  /** Status of the redirect that led here; 0 when none did. */
  redirectStatus: number
  /** Where the first redirect began: host and port. */
  home: string
  journey: Journey
}

/**
 * The HTTP client of the processor. The guard judges what is connected to: the origin on every hop, or the proxy. Behind
 * a proxy it judges only what stands in the URL itself, port and address, since names are the proxy's to resolve.
 */
export function fetcher({ config, guard, resolver, ca }: FetcherOptions): Fetcher {
  const connectTimeoutMs = config.connect_timeout_ms
  const defaultHeaders = withoutConnectionHeaders(config.request_headers)
  const forOthers = headersForOthers(config.redirect_headers)
  const minSpeed = { bytesPerS: config.min_bytes_per_s, windowMs: config.min_speed_window_s * 1000 }
  const open = connections(guardedConnector({ guard, resolver, connectTimeoutMs, ca }), connectTimeoutMs)

  async function ask(hop: Hop, signal: AbortSignal): Promise<Response> {
    const { url, proxy, redirectStatus } = hop
    const refused = proxy === undefined ? undefined : urlRefusal(guard, url)
    if (refused !== undefined) throw networkFailure(refused, { host: url.host, status: 0, redirectStatus })

    const route = open.to(url, proxy)
    try {
      return await send(route, hop, signal)
    } catch (error) {
      // A server may close an idle connection just as it is used: that is no answer (RFC 9112, section 9.3.1).
      if (!(route.lease.isUsed() && error instanceof JobError && error.code === 'connect.reset')) throw error
      return send(open.to(url, proxy, true), hop, signal)
    }
  }

  function send({ lease, request, headers }: Route, hop: Hop, signal: AbortSignal): Promise<Response> {
    const all = [...headers, ...[...hop.head.headers.values()].flat()]
    return exchange(
      {
        lease,
        request: { ...request, headers: all },
        host: hop.url.host,
        redirectStatus: hop.redirectStatus,
        headersTimeoutMs: config.headers_timeout_ms,
        stallTimeoutMs: config.stall_timeout_ms,
        minSpeed,
        journey: hop.journey,
      },
      signal,
    )
  }

  /** Asks for `url`, and for where its redirects lead. */
  async function follow(url: URL, head: RequestHead, request: FetchRequest, signal: AbortSignal) {
    const proxy = request.proxy ? parseProxy(request.proxy) : undefined
    const limits = { bytes: request.maxBytes, ratio: config.max_decode_ratio }
    const journey = request.journey ?? newJourney()
    let hop: Hop = { url, head, proxy, redirectStatus: 0, home: url.host, journey }
    for (let redirects = 0; ; redirects++) {
      journey.url = hop.url.origin + hop.url.pathname
      journey.redirects = redirects
      const response = await ask(hop, signal)
      try {
        failOnStatus(response, hop)
        const target = redirectTarget(response, hop.url)
        if (target === undefined) return received(response, hop.url, redirects, limits, hop.head.decodes)
        if (redirects === mostRedirects) throw tooManyRedirects(response.status)
        hop = nextHop(hop, target, response.status, forOthers)
        await response.body.discard()
      } catch (error) {
        await response.body.discard()
        throw error
      }
    }
  }

  return {
    async fetch(request, signal) {
      signal.throwIfAborted()
      const { url, authorization } = withoutUserinfo(parseUrl(request.url))
      const head = requestHead(defaultHeaders, request.headers, authorization)
      const { rest } = request
      if (rest === undefined) return wholeOf(await follow(url, head, request, signal), head)
      const response = await follow(url, restHead(head, rest), request, signal).catch(unlessFinal)
      if (response?.status === 206 && isRest({ ...response, url: new URL(response.url) }, rest)) {
        return { ...response, ...rest }
      }
      if (response && response.status !== 206) return response
      await response?.discard()
      return follow(url, head, request, signal)
    },
    close: open.close,
  }
}

/** Whoever asks for a part, or on a condition, gets no version: the rest of that is not ours to ask for. */
function wholeOf(response: FetchResponse, { headers }: RequestHead): FetchResponse {
  return response.version === undefined || asksForWhole(headers) ? response : { ...response, version: undefined }
}

/** A refusal for good may be one of the range (416, and what firewalls answer): the whole may be had all the same. */
function unlessFinal(error: unknown): undefined {
  if (error instanceof JobError && !error.retriable && error.responseCode > 0) return
  throw error
}

/** @throws {JobError} `request.invalid`, `guard.scheme` */
function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw new JobError('request.invalid', 'the URL is not valid', { retriable: false })
  const url = new URL(text)
  if (!isHttp(url)) {
    throw new JobError('guard.scheme', `refused scheme: ${url.protocol} is neither http: nor https:`, {
      retriable: false,
    })
  }
  return url
}

/** Credentials are to get into no text, and no relative redirect is to bring them back. */
function withoutUserinfo(url: URL): { url: URL; authorization: string | undefined } {
  const authorization = basicAuthorization(url)
  if (authorization !== undefined) {
    url.username = ''
    url.password = ''
  }
  if (url.hash !== '') url.hash = ''
  return { url, authorization }
}

/** @throws {JobError} `http.*`, `response.unexpected`; `proxy.failed` where a proxy speaks for itself */
function failOnStatus({ status, reason, headers }: Response, { url, proxy, head, home }: Hop): void {
  if (status < 400) {
    const failure = unexpected({ status, headers }, head.headers, url.host)
    if (failure !== undefined) throw failure
    return
  }
  if (status === 407 && proxy !== undefined && url.protocol === 'http:') throw proxyRefusal(proxy.host, status)
  throw statusFailure(status, reason, retryAfterMs(headers['retry-after']), url.host !== home)
}

function nextHop(hop: Hop, to: URL, redirectStatus: number, forOthers: ReadonlySet<string>): Hop {
  const { url, authorization } = withoutUserinfo(to)
  const head = redirectedHead(hop.head, isSameHome(hop.url, url), authorization, forOthers)
  return { ...hop, url, head, redirectStatus }
}
