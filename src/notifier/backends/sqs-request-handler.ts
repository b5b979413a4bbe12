import type { Dispatcher } from 'undici'
import { JobError } from '../../jobs/errors.ts'

/** What the SDK hands over to be sent. */
interface AwsRequest {
  protocol: string
  hostname: string
  port?: number
  path: string
  method: string
  headers: Record<string, string>
  body?: string | Uint8Array
}

/** SQS answers a message with some 400 bytes. */
const MAX_ANSWER_BYTES = 65_536

/**
 * Lets the AWS SDK speak through undici: callers name the queue, so its host must pass the address guard like that of
 * an HTTP callback. It also saves the SDK's own look-ups, which share their threads with our fsyncs.
 */
export function awsRequestHandler(dispatcher: Dispatcher) {
  return {
    metadata: { handlerProtocol: 'http/1.1' },

    async handle(request: AwsRequest, { abortSignal }: { abortSignal?: unknown } = {}) {
      const signal = abortSignal instanceof AbortSignal ? abortSignal : undefined
      try {
        return { response: await exchange(dispatcher, request, signal) }
      } catch (error) {
        // The SDK's way to learn that a second attempt may help; it knows Node's error codes, not undici's.
        const worthIt = error instanceof Error && !(error instanceof JobError) && !signal?.aborted
        throw worthIt ? Object.assign(error, { $retryable: {} }) : error
      }
    },

    destroy() {}, // the dispatcher is not ours
    updateHttpClientConfig() {},
    httpHandlerConfigs: () => ({}),
  }
}

async function exchange(dispatcher: Dispatcher, request: AwsRequest, signal: AbortSignal | undefined) {
  const { protocol, hostname, port, path, method, headers, body } = request
  const response = await dispatcher.request({
    origin: `${protocol}//${hostname}${port ? `:${port}` : ''}`,
    path,
    method: method as Dispatcher.HttpMethod,
    headers,
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  })
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += chunk.length
    if (size > MAX_ANSWER_BYTES) throw new Error(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`) // closes it
    chunks.push(chunk)
  }
  return { statusCode: response.statusCode, headers: flat(response.headers), body: Buffer.concat(chunks) }
}

function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}
