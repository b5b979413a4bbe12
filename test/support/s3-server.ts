import { randomUUID } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
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
  /** Uploads in parts that were neither completed nor aborted: their parts, by number. */
  uploads: Map<string, Map<number, Buffer>>
  /** Answers instead of the server when it returns true. Asked before each request. */
  interfere: (request: S3Request, response: ServerResponse) => boolean
  [Symbol.asyncDispose](): Promise<void>
}

function xml(response: ServerResponse, status: number, content: string): true {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(`<?xml version="1.0"?>${content}`)
  return true
}

export const s3Error = (response: ServerResponse, status: number, code: string): true =>
  xml(response, status, `<Error><Code>${code}</Code><Message>${code}</Message></Error>`)

export async function startS3Server(): Promise<S3Server> {
  const http = createServer(async (incoming, response) => {
    const request = await read(incoming).catch(() => undefined) // cut short: nobody waits for an answer
    if (!request) return
    server.requests.push(request)
    if (server.interfere(request, response)) return
    const sum = request.headers['x-amz-checksum-crc32']
    if (sum !== undefined && Buffer.from(String(sum), 'base64').readUInt32BE() !== zlib.crc32(request.body)) {
      return void s3Error(response, 400, 'BadDigest')
    }
    answer(server, request, response)
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const server: S3Server = {
    endpoint: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    requests: [],
    objects: new Map(),
    uploads: new Map(),
    interfere: () => false,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
    },
  }
  return server
}

async function read(incoming: IncomingMessage): Promise<S3Request> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk)
  const { method = '', url = '/', headers } = incoming
  const { pathname, searchParams: query } = new URL(url, 'http://s3')
  return { method, path: decodeURIComponent(pathname), query, headers, body: Buffer.concat(chunks) }
}

function answer({ objects, uploads }: S3Server, request: S3Request, response: ServerResponse) {
  const { method, path, query, body, headers } = request
  const id = query.get('uploadId')
  if (query.has('uploads')) {
    const UploadId = randomUUID()
    uploads.set(UploadId, new Map())
    const content = `<UploadId>${UploadId}</UploadId>`
    return xml(response, 200, `<InitiateMultipartUploadResult>${content}</InitiateMultipartUploadResult>`)
  }
  if (id !== null) {
    const parts = uploads.get(id)
    if (!parts) return s3Error(response, 404, 'NoSuchUpload')
    if (method === 'PUT') parts.set(Number(query.get('partNumber')), body)
    else uploads.delete(id)
    if (method === 'POST') {
      const listed = [...String(body).matchAll(/<PartNumber>(\d+)</g)].map(([, number]) => parts.get(Number(number)))
      if (listed.includes(undefined)) return s3Error(response, 400, 'InvalidPart')
      objects.set(path, Buffer.concat(listed as Buffer[]))
      return xml(response, 200, '<CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>')
    }
  } else if (method === 'PUT') objects.set(path, body)
  else if (method === 'DELETE') objects.delete(path)
  const sum = headers['x-amz-checksum-crc32']
  response
    .writeHead(method === 'DELETE' ? 204 : 200, { etag: '"x"', ...(sum && { 'x-amz-checksum-crc32': sum }) })
    .end()
}
