import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import zlib from 'node:zlib'

export interface S3Request {
  method: string
  /** `/bucket/key`, decoded. */
  path: string
  query: URLSearchParams
  headers: IncomingHttpHeaders
  body: Buffer
}

/** An S3 that fails as told, to see what the real one would only do on a bad day. Verifies checksums as S3 does. */
export interface S3Server {
  endpoint: string
  requests: S3Request[]
  objects: Map<string, Buffer>
  /** Answers instead of the server when it returns true. Asked before each request. */
  interfere: (request: S3Request, response: ServerResponse) => boolean
  [Symbol.asyncDispose](): Promise<void>
}

export function s3Error(response: ServerResponse, status: number, code: string): true {
  response.writeHead(status, { 'content-type': 'application/xml' })
  response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`)
  return true
}

export async function startS3Server(): Promise<S3Server> {
  const http = createServer(async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const url = new URL(incoming.url ?? '/', 'http://s3')
    const path = decodeURIComponent(url.pathname)
    const body = Buffer.concat(chunks)
    const request = { method: incoming.method ?? '', path, query: url.searchParams, headers: incoming.headers, body }
    server.requests.push(request)
    if (server.interfere(request, response)) return
    const sum = incoming.headers['x-amz-checksum-crc32']
    if (sum !== undefined && Buffer.from(String(sum), 'base64').readUInt32BE() !== zlib.crc32(body)) {
      return void s3Error(response, 400, 'BadDigest')
    }
    if (request.method === 'PUT') server.objects.set(path, body)
    if (request.method === 'DELETE') server.objects.delete(path)
    response.writeHead(request.method === 'DELETE' ? 204 : 200, { etag: '"x"' }).end()
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const server: S3Server = {
    endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests: [],
    objects: new Map(),
    interfere: () => false,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
  return server
}
