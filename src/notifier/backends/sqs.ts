import type { SQSClient } from '@aws-sdk/client-sqs'
import type { Dispatcher } from 'undici'
import { z } from 'zod'
import { withDeadline } from '../../deadline.ts'
import { JobError } from '../../jobs/errors.ts'
import { redactedUrl } from '../../shown-url.ts'
import type { Backend } from './backend.ts'
import { sqsComplaint, sqsFailure } from './sqs-failure.ts'
import { awsRequestHandler } from './sqs-request-handler.ts'
import { unlessAborted } from './unless-aborted.ts'

export const SqsConfig = z.strictObject({
  region: z.string().min(1),
  /** Where the service of `region` is reached instead of AWS's public address: a VPC endpoint, an emulator. */
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
})
export type SqsConfig = z.infer<typeof SqsConfig>

/** For one delivery, the SDK's own second attempt included. */
const DEADLINE_MS = 30_000
/** AWS has fewer regions than this; what a caller writes into a URL may name more. */
const MAX_CLIENTS = 64

/**
 * Sends callbacks to SQS queues. The destination is the queue's URL, or the same without its scheme.
 *
 * - The message goes to the host of the URL. Only where that is AWS's public one for the configured region and
 *   `endpoint` is set, it goes there, with the URL as the queue's name.
 * - Requests are signed for the region in the URL of an AWS host, for the configured one otherwise.
 * - FIFO queues: every job is a group of its own, because callbacks have no order to keep and a group would make a
 *   consumer wait for one message before it gets the next. The job's id also tells duplicates: within five minutes
 *   SQS drops a message that was sent again because its answer was lost. A callback that is retried by hand has not
 *   been accepted before, so it passes.
 *
 * @param dispatcher the guarded one, as for HTTP; closed by who made it
 */
export function sqsBackend(config: SqsConfig, dispatcher: Dispatcher): Backend {
  const requestHandler = awsRequestHandler(dispatcher)
  const clients = new Map<string, SQSClient>()
  let loading: Promise<typeof import('@aws-sdk/client-sqs')> | undefined

  function loadSdk(): Promise<typeof import('@aws-sdk/client-sqs')> {
    // On Node 20 the SDK prints at its start that a version to come will need a newer one; ours is pinned.
    process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true'
    loading ??= import('@aws-sdk/client-sqs')
    return loading
  }

  async function send(
    queue: URL,
    callback: { job_id: string },
    signal: AbortSignal,
    traceparent?: string,
  ): Promise<void> {
    const { SendMessageCommand } = await loadSdk()
    const client = await clientFor(clientOptions(queue, config))
    const id = callback.job_id
    const command = new SendMessageCommand({
      QueueUrl: queue.href,
      MessageBody: sqsText(JSON.stringify(callback)),
      ...(traceparent && {
        MessageAttributes: { traceparent: { DataType: 'String', StringValue: traceparent } },
      }),
      ...(queue.pathname.endsWith('.fifo') ? { MessageGroupId: id, MessageDeduplicationId: id } : {}),
    })
    await client.send(command, { abortSignal: signal })
  }

  async function clientFor({ region, endpoint }: SqsConfig): Promise<SQSClient> {
    const { SQSClient } = await loadSdk()
    const name = `${region} ${endpoint ?? ''}`
    let client = clients.get(name)
    if (client === undefined) {
      if (clients.size >= MAX_CLIENTS) clients.clear()
      const options = { region, ...(endpoint === undefined ? {} : { endpoint }) }
      client = new SQSClient({ ...options, requestHandler, maxAttempts: 2, logger: silent })
      clients.set(name, client)
    }
    return client
  }

  return {
    async deliver(destination, callback, signal, traceparent) {
      signal.throwIfAborted()
      const queue = queueUrl(destination, config.endpoint)
      try {
        await withDeadline(
          DEADLINE_MS,
          signal,
          (signal) => unlessAborted(send(queue, callback, signal, traceparent), signal),
          () => late(queue),
        )
      } catch (error) {
        signal.throwIfAborted()
        throw sqsFailure(redactedUrl(queue.href), error)
      }
    },

    async probe(signal) {
      const list = async () => {
        const { ListQueuesCommand } = await loadSdk()
        const client = await clientFor(config)
        await client.send(new ListQueuesCommand({ MaxResults: 1 }), { abortSignal: signal })
      }
      await unlessAborted(list(), signal).catch((error: unknown) => {
        signal.throwIfAborted()
        const where = config.endpoint === undefined ? '' : ` at ${redactedUrl(config.endpoint)}`
        const complaint = sqsComplaint(`SQS of ${config.region}${where}`, error)
        if (complaint) throw complaint
      })
    },

    async close() {
      for (const client of clients.values()) client.destroy()
      clients.clear()
    },
  }
}

/** It would be told of every message whose queue is not at the region's default host. */
const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** @throws {JobError} permanent, when it is no queue's URL */
function queueUrl(destination: string, endpoint: string | undefined): URL {
  const scheme = endpoint === undefined ? 'https:' : new URL(endpoint).protocol
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(destination) ? destination : `${scheme}//${destination}`
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isQueue = url !== undefined && /^https?:$/.test(url.protocol) && url.pathname !== '/' && url.username === ''
  if (isQueue) return url
  throw new JobError('receiver.refused', `${redactedUrl(text)} is no SQS queue URL`, { retriable: false })
}

function clientOptions(queue: URL, { region, endpoint }: SqsConfig): SqsConfig {
  const named = regionOf(queue.hostname)
  if (named === undefined) return { region }
  return named === region && endpoint !== undefined ? { region, endpoint } : { region: named }
}

/**
 * Region in the names that AWS gives to SQS: `sqs.<region>.amazonaws.com` (also `.cn`, FIPS, VPC endpoints and dual
 * stack), and the legacy `<region>.queue.amazonaws.com`, without a region in us-east-1.
 */
function regionOf(hostname: string): string | undefined {
  if (hostname === 'queue.amazonaws.com') return 'us-east-1'
  const host = /(?:^|\.)(?:sqs|sqs-fips)\.([a-z\d-]+)\.(?:vpce\.)?(?:amazonaws\.com(?:\.cn)?|api\.aws)$/.exec(hostname)
  return host?.[1] ?? /^([a-z\d-]+)\.queue\.amazonaws\.com(?:\.cn)?$/.exec(hostname)?.[1]
}

/**
 * JSON in which the characters that SQS refuses are escaped (U+FFFE and U+FFFF: SendMessage, MessageBody), and those
 * beyond U+FFFF, which emulators refuse. It means the same.
 */
function sqsText(json: string): string {
  return json.replace(/[\uD800-\uDFFF\uFFFE\uFFFF]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16)}`)
}

function late(queue: URL): JobError {
  const text = `${redactedUrl(queue.href)} did not answer within ${DEADLINE_MS / 1000} s`
  return new JobError('receiver.timeout', text, { retriable: true })
}
