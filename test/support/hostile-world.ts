import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { gzipSync } from 'node:zlib'
import { startDns } from '../net/dns-server.ts'
import { startProxy } from '../processor/fetch/proxy-server.ts'
import { startBlackHole } from './black-hole.ts'
import { makeCertificates } from './certificates.ts'
import { response, startRawOrigin } from './origin.ts'
import { s3Error, startS3Server } from './s3-server.ts'
import { PNG } from './samples.ts'

type Job = Record<string, unknown>

const ok = 'HTTP/1.1 200 OK\r\n'
const png = response(PNG.toString('latin1'))
const cut = response(PNG.subarray(0, 20).toString('latin1'))
const packed = gzipSync('content, '.repeat(1000))
const encoded = (body: Buffer | string, encoding: string) =>
  response(body.toString('latin1'), { 'Content-Encoding': encoding })
const moved = (location: string) => response('', { Location: location }, '302 Found')
const status = (line: string, headers = {}) => response('', headers, line)

/** What an origin answers whose jobs are put off. */
export const refusals: [what: string, code: string, answer: string][] = [
  ['an origin that asks us to wait', 'http.429', status('429 Too Many Requests', { 'Retry-After': 3600 })],
  [
    'an origin that is closed until a date',
    'http.503',
    status('503 Busy', { 'Retry-After': 'Fri, 01 Jan 2100 00:00:00 GMT' }),
  ],
]

/** What an origin answers, and the code of the failure that it is. */
export const answers: [what: string, code: string, answer: string | ((socket: Socket) => void)][] = [
  ['a page that is not there', 'http.404', status('404 Not Found')],
  ['a page that is forbidden', 'http.403', status('403 Forbidden')],
  ['a broken origin', 'http.500', status('500 Internal Server Error')],
  ['a status that nobody knows', 'http.799', status('799 Whatever')],
  ['an SSH server', 'response.malformed', 'SSH-2.0-OpenSSH_9.2p1\r\n'],
  ['HTTP/0.9', 'response.malformed', '<html>hello</html>'],
  ['two lengths', 'response.malformed', `${ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`],
  [
    'a length and chunks',
    'response.malformed',
    `${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['a negative length', 'response.malformed', `${ok}Content-Length: -1\r\n\r\n`],
  ['chunks that are none', 'response.malformed', `${ok}Transfer-Encoding: chunked\r\n\r\n4\r\nfour\r\nnonsense\r\n`],
  ['a header without a colon', 'response.malformed', `${ok}nonsense\r\n\r\n`],
  ['100 out of turn', 'response.malformed', `HTTP/1.1 100 Continue\r\n\r\n${png}`],
  ['101 out of turn', 'response.malformed', 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'],
  ['hints without end', 'response.malformed', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(40)],
  [
    'a part that was not asked for',
    'response.unexpected',
    status('206 Partial Content', { 'Content-Range': 'bytes 1-2/9' }),
  ],
  ['304 without a condition', 'response.unexpected', status('304 Not Modified')],
  ['a choice', 'response.unexpected', status('300 Multiple Choices')],
  ['HTTP/2 in clear', 'response.http2_only', '\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80'],
  ['a huge head', 'limit.headers', `${ok}X: ${'x'.repeat(100_000)}\r\n\r\n`],
  ['a head of too many lines', 'limit.headers', `${ok}${'a:b\r\n'.repeat(2000)}\r\n`],
  ['a short body', 'body.truncated', response('short', { 'content-length': 99 })],
  ['a body cut within a chunk', 'body.truncated', `${ok}Transfer-Encoding: chunked\r\n\r\na\r\nfour`],
  ['gzip that is cut', 'body.truncated', encoded(packed.subarray(0, 30), 'gzip')],
  ['gzip that is none', 'body.encoding', encoded('not gzip', 'gzip')],
  [
    'gzip with a wrong checksum',
    'body.encoding',
    encoded(Buffer.concat([packed.subarray(0, -8), Buffer.alloc(8)]), 'gzip'),
  ],
  ['zstd unasked', 'body.encoding', encoded('x', 'zstd')],
  ['four encodings', 'body.encoding', encoded('x', 'gzip, gzip, gzip, gzip')],
  ['a transfer encoding', 'body.encoding', `${ok}Transfer-Encoding: gzip\r\n\r\nx`],
  ['a decompression bomb', 'limit.ratio', encoded(gzipSync(gzipSync(Buffer.alloc(40 * 1024 * 1024))), 'gzip, gzip')],
  ['a redirect to itself', 'redirect.too_many', moved('?')],
  ['a redirect to nowhere', 'redirect.invalid', status('302 Found')],
  ['a redirect to two places', 'redirect.invalid', 'HTTP/1.1 301 Moved\r\nLocation: /a\r\nLocation: /b\r\n\r\n'],
  ['a redirect to no URL', 'redirect.invalid', moved('http://[::1')],
  ['a redirect to a file', 'guard.scheme', moved('file:///etc/passwd')],
  ['a redirect to a private address', 'guard.private_address', moved('http://10.0.0.1/')],
  ['a redirect to a mail server', 'guard.port', moved('http://127.0.0.1:25/')],
  ['silence', 'timeout.headers', () => {}],
  ['a body that stalls', 'timeout.stall', (socket) => void socket.write(`${ok}Content-Length: 9\r\n\r\nfour`)],
  ['a body that drips', 'timeout.slow', drips],
  ['a connection that closes', 'connect.reset', (socket) => void socket.end()],
  ['a connection that is reset', 'connect.reset', (socket) => void socket.resetAndDestroy()],
  [
    'a body whose connection is reset',
    'body.truncated',
    (socket) => {
      socket.write(`${ok}Content-Length: 9\r\n\r\nfour`, () => socket.resetAndDestroy())
    },
  ],
]

function drips(socket: Socket): void {
  socket.write(`${ok}Content-Length: 99999\r\n\r\n`)
  const timer = setInterval(() => socket.write('x'), 100)
  socket.on('close', () => clearInterval(timer))
}

/** What a job asks for of a picture that is fine. */
export const demands: [what: string, code: string, job: Job][] = [
  ['another type', 'mime.mismatch', { mime_type: 'image/jpeg' }],
  ['another digest', 'verify.checksum', { checksum: `sha256:${'0'.repeat(64)}` }],
  ['fewer bytes', 'limit.bytes', { max_bytes: 10 }],
  ['fewer pixels', 'limit.pixels', { max_pixels: 3 }],
  ['a place where a file lies in the way', 'storage.failed', { subpath: 'blocked' }],
  ['a bucket that is not there', 'storage.not_found', { s3_bucket: 'nobodys', s3_region: 'eu-west-1' }],
  ['a bucket of somebody else', 'storage.denied', { s3_bucket: 'others', s3_region: 'eu-west-1' }],
  ['a bucket that is busy', 'storage.failed', { s3_bucket: 'busy-bucket', s3_region: 'eu-west-1' }],
  ['a bucket whose server hangs up', 'storage.failed', { s3_bucket: 'broken', s3_region: 'eu-west-1' }],
]

/** Of DNS: names, and what is said about them. */
const zone: Record<string, { rcode?: number; addresses?: string[] } | undefined> = {
  'gone.test': { rcode: 3 },
  'broken.test': { rcode: 2 },
  'refused.test': { rcode: 5 },
  'mail-only.test': {},
  'silent.test': undefined,
  'private.test': { addresses: ['10.0.0.1'] },
  'half-private.test': { addresses: ['127.0.0.1', '10.0.0.1'] },
  'metadata.test': { addresses: ['169.254.169.254'] },
  'good.test': { addresses: ['127.0.0.1'] },
  'hole.test': { addresses: ['127.0.0.2'] },
}

export const names: [what: string, code: string, host: string][] = [
  ['a name that does not exist', 'dns.not_found', 'gone.test'],
  ['a name that may not exist', 'dns.not_found', 'nobody.invalid'],
  ['a name that has no address', 'dns.no_address', 'mail-only.test'],
  ['a name that cannot be one', 'dns.bad_name', `${'a'.repeat(64)}.test`],
  ['a name that is not answered for', 'dns.timeout', 'silent.test'],
  ['a name that is answered with SERVFAIL', 'dns.failed', 'broken.test'],
  ['a name that is refused', 'dns.failed', 'refused.test'],
  ['a name that leads to a private address', 'guard.private_address', 'private.test'],
  ['a name that leads to a private address, among others', 'guard.private_address', 'half-private.test'],
]

/** Of a job that fails for another reason than the answer of its origin. */
export const others: [what: string, code: string, job: (world: World) => Job][] = [
  ['a picture that is cut', 'image.size', ({ raw }) => ({ url: `${raw}/cut`, extract_image_size: true })],
  ['a download that takes too long', 'timeout.total', ({ hanging }) => ({ url: hanging, download_timeout: 1 })],
  ['a port where nobody listens', 'connect.refused', () => ({ url: nobody })],
  ['a handshake that does not end', 'connect.timeout', ({ hanging }) => ({ url: hanging.replace('http', 'https') })],
  ['an address that answers nothing', 'connect.timeout', ({ hole }) => ({ url: hole })],
  ['a certificate that vouches for itself', 'tls.untrusted', ({ tls }) => ({ url: tls.selfSigned })],
  ['a certificate that has expired', 'tls.expired', ({ tls }) => ({ url: tls.expired })],
  ['a certificate of the future', 'tls.not_yet_valid', ({ tls }) => ({ url: tls.notYetValid })],
  ['a certificate of another host', 'tls.hostname', ({ tls }) => ({ url: tls.otherHost })],
  ['an old version of TLS', 'tls.version', ({ tls }) => ({ url: tls.old })],
  ['no common cipher', 'tls.handshake', ({ tls }) => ({ url: tls.otherCipher })],
  ['HTTP/2 only', 'response.http2_only', ({ tls }) => ({ url: tls.http2 })],
  ['a port that speaks no TLS', 'tls.failed', ({ sqs }) => ({ url: sqs.replace('http', 'https') })],
  ['a proxy that is not there', 'proxy.failed', ({ raw }) => ({ url: raw, aggr_proxy: nobody })],
  ['a proxy that wants to know us', 'proxy.failed', ({ raw, proxy }) => ({ url: raw, aggr_proxy: proxy })],
  ['a tunnel that is refused', 'proxy.failed', ({ tls, proxy }) => ({ url: tls.expired, aggr_proxy: proxy })],
]

/** Of callbacks that are not delivered. */
export const receivers: [what: string, code: string, job: (world: World) => Job][] = [
  ['a receiver that is busy', 'receiver.status', ({ raw }) => ({ callback_dst: `${raw}/busy` })],
  ['a receiver that hangs', 'receiver.timeout', ({ hanging }) => ({ callback_dst: hanging })],
  ['a receiver that is not there', 'receiver.unreachable', () => ({ callback_dst: nobody })],
  ['a receiver in the metadata of the cloud', 'receiver.refused', () => ({ callback_dst: 'http://metadata.test/' })],
  [
    'a queue that is not there',
    'receiver.unknown_queue',
    ({ sqs }) => ({ callback_type: 'sqs', callback_dst: `${sqs}/1/gone` }),
  ],
]

/** A port that is never given to anybody who does not ask for it. */
const nobody = 'http://127.0.0.1:1025'

/** Servers that do everything wrong; as URLs, but for `dns` (`address:port`) and `caFile`. */
export interface World extends AsyncDisposable {
  dns: string
  caFile: string
  s3: string
  sqs: string
  proxy: string
  /** Answers `/0`, `/1` … with the `answers`, `/cut` with half a picture, `/busy` with 503, and all else with a picture. */
  raw: string
  /** Takes connections, and says nothing. */
  hanging: string
  /** Takes no connection. */
  hole: string
  tls: Record<'selfSigned' | 'expired' | 'notYetValid' | 'otherHost' | 'old' | 'otherCipher' | 'http2', string>
}

export async function startWorld(): Promise<World> {
  const open: AsyncDisposable[] = []
  const opened = <T extends AsyncDisposable>(resource: T): T => {
    open.unshift(resource)
    return resource
  }
  const port = async (server: Server) => opened(await listening(server)).port
  const secure = async (options: TlsOptions) => `https://127.0.0.1:${await port(createTlsServer(options))}/`

  const certificates = opened(await makeCertificates())
  const { good } = certificates
  const dns = opened(await startDns((name) => zone[name]))
  const s3 = opened(await startS3Server())
  s3.interfere = ({ path }, answer) => {
    if (path.startsWith('/nobodys')) return s3Error(answer, 404, 'NoSuchBucket')
    if (path.startsWith('/others')) return s3Error(answer, 403, 'AccessDenied')
    if (path.startsWith('/busy')) return s3Error(answer, 503, 'SlowDown')
    if (path.startsWith('/broken')) answer.destroy()
    return path.startsWith('/broken')
  }
  const sqs = createHttpServer((request, answer) => {
    request.resume()
    const body = '{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}'
    answer.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end(body)
  })
  const pages = [...answers, ...refusals]
  const raw = await startRawOrigin((socket, head) => {
    const [, path = ''] = / \/(\S*)/.exec(head) ?? []
    const answer =
      path === 'cut' ? cut : path === 'busy' ? status('503 Busy') : (pages[Number(path || 'x')]?.[2] ?? png)
    if (typeof answer === 'string') socket.end(answer, 'latin1')
    else answer(socket)
  })
  const proxy = await startProxy({ refusal: 'HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n' })
  const hole = await startBlackHole('127.0.0.2')
  return {
    dns: dns.address,
    caFile: certificates.caFile,
    s3: s3.endpoint,
    sqs: `http://127.0.0.1:${await port(sqs)}`,
    proxy: opened(proxy).url,
    raw: opened(raw).url,
    hanging: `http://127.0.0.1:${await port(createServer())}`,
    hole: `http://hole.test:${opened(hole).port}`,
    tls: {
      selfSigned: await secure(certificates.selfSigned),
      expired: await secure(certificates.expired),
      notYetValid: await secure(certificates.notYetValid),
      otherHost: await secure(certificates.otherHost),
      old: await secure({ ...good, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
      otherCipher: await secure({ ...good, maxVersion: 'TLSv1.2', ciphers: 'AES128-SHA256' }),
      http2: await secure({ ...good, ALPNProtocols: ['h2'] }),
    },
    async [Symbol.asyncDispose]() {
      for (const resource of open) await resource[Symbol.asyncDispose]()
    },
  }
}

async function listening(server: Server) {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
