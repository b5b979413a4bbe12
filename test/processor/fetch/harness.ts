import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { JobError } from '../../../src/jobs/errors.ts'
import { addressGuard } from '../../../src/net/address-guard.ts'
import { resolver } from '../../../src/net/resolver.ts'
import { FetchConfig } from '../../../src/processor/fetch/config.ts'
import type { FetchRequest, FetchResponse } from '../../../src/processor/fetch/fetch.ts'
import { fetcher } from '../../../src/processor/fetch/fetcher.ts'

export interface FetcherHarness extends AsyncDisposable {
  fetch(url: string, request?: Partial<FetchRequest>, signal?: AbortSignal): Promise<FetchResponse>
  /** Fetches, and reads the body to its end. */
  read(url: string, request?: Partial<FetchRequest>, signal?: AbortSignal): Promise<string>
}

/**
 * A fetcher that may connect to 127.0.0.1 and knows the names `*.test` that it is given; nothing else exists.
 *
 * @param config the defaults' exceptions
 */
export async function startFetcher(
  config: Partial<FetchConfig> = {},
  { names = ['good.test', 'other.test'], ca }: { names?: string[]; ca?: string } = {},
): Promise<FetcherHarness> {
  const dir = await mkdtemp(path.join(tmpdir(), 'fetcher-'))
  const hostsFile = path.join(dir, 'hosts')
  await writeFile(hostsFile, `127.0.0.1 both.test ${names.join(' ')}\n127.0.0.2 both.test\n10.0.0.1 private.test\n`)
  const settings = FetchConfig.parse({ allow_networks: ['127.0.0.1/32'], ...config })
  const under = fetcher({
    config: settings,
    guard: addressGuard('downloads', settings.allow_networks),
    resolver: resolver({ servers: ['127.0.0.1:9'], hostsFile, systemLookup: async () => [], timeoutMs: 1000 }),
    ca,
  })
  const fetch: FetcherHarness['fetch'] = (url, request = {}, signal = new AbortController().signal) =>
    under.fetch({ url, headers: {}, maxBytes: 0, ...request }, signal)
  return {
    fetch,
    read: async (url, request, signal) => text(await fetch(url, request, signal)),
    async [Symbol.asyncDispose]() {
      await under.close()
      await rm(dir, { recursive: true })
    },
  }
}

export async function text({ body }: Pick<FetchResponse, 'body'>): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body) chunks.push(chunk)
  return Buffer.concat(chunks).toString('latin1')
}

/** What a failure must look like; `text` is a part of the message. */
export interface Expected {
  code: string
  text: string
  retriable: boolean
  responseCode: number
}

/** For `assert.rejects`. */
export function failure({ code, text, retriable, responseCode }: Expected): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof JobError, `${error}`)
    assert.ok(error.message.includes(text), error.message)
    assert.deepEqual(
      { code: error.code, retriable: error.retriable, responseCode: error.responseCode },
      { code, retriable, responseCode },
      error.message,
    )
    return true
  }
}

/** The value of a header in the head of a request, as a raw origin received it. */
export function header(head: string | undefined, name: string): string | undefined {
  const line = head?.split('\r\n').find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
  return line?.slice(name.length + 1).trim()
}

/** Resolves once it holds; fails when it does not within five seconds. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000
  while (!holds()) {
    assert.ok(performance.now() < deadline, `not within 5 s: ${holds}`)
    await delay(5)
  }
}
