import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedSpan {
  service: string
  traceId: string
  spanId: string
  parentSpanId: string
  name: string
  kind: number
  /** ns since the epoch */
  start: bigint
  end: bigint
  attributes: Record<string, string>
  status: { code?: number; message?: string }
}

/** Receives spans by OTLP/HTTP, as JSON. */
export interface Collector extends AsyncDisposable {
  url: string
  spans: ReceivedSpan[]
}

interface Attribute {
  key: string
  value: Record<string, unknown>
}

interface Request {
  resourceSpans: {
    resource: { attributes: Attribute[] }
    scopeSpans: {
      spans: (Omit<ReceivedSpan, 'attributes'> & Record<string, unknown> & { attributes: Attribute[] })[]
    }[]
  }[]
}

export async function startCollector(status = 200): Promise<Collector> {
  const spans: ReceivedSpan[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const isOtlp = request.url === '/v1/traces' && request.headers['content-type'] === 'application/json'
    if (isOtlp) spans.push(...spansOf(JSON.parse(Buffer.concat(chunks).toString())))
    response.writeHead(isOtlp ? status : 400, { 'content-type': 'application/json' }).end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function spansOf({ resourceSpans }: Request): ReceivedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = values(resource.attributes)['service.name'] ?? ''
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        ...span,
        service,
        start: BigInt(String(span.startTimeUnixNano)),
        end: BigInt(String(span.endTimeUnixNano)),
        attributes: values(span.attributes),
      })),
    )
  })
}

const values = (attributes: Attribute[]): Record<string, string> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]))
