import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import path from 'node:path'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { gzipSync } from 'node:zlib'
import type { Callback } from '../../src/jobs/callback.ts'
import { errorCodes } from '../../src/jobs/errors.ts'
import { startDns } from '../net/dns-server.ts'
import { startProxy } from '../processor/fetch/proxy-server.ts'
import { startBlackHole } from '../support/black-hole.ts'
import { makeCertificates } from '../support/certificates.ts'
import { eventually } from '../support/eventually.ts'
import { localDns } from '../support/local-dns.ts'
import { response, startRawOrigin } from '../support/origin.ts'
import { s3Error, startS3Server } from '../support/s3-server.ts'
import { PNG } from '../support/samples.ts'
import { type Service, startService } from '../support/service.ts'

type Job = Record<string, unknown>

const ok = 'HTTP/1.1 200 OK\r\n'
const png = response(PNG.toString('latin1'))
const packed = gzipSync('content, '.repeat(1000))
const encoded = (body: Buffer | string, encoding: string) =>
  response(body.toString('latin1'), { 'Content-Encoding': encoding })
const moved = (location: string) => response('', { Location: location }, '302 Found')
const status = (line: string, headers = {}) => response('', headers, line)

/** What an origin answers, and the code of the failure that it is. */
const answers: [what: string, code: string, answer: string | ((socket: Socket) => void)][] = [
  ['a page that is not there', 'http.404', status('404 Not Found')],
  ['a page that is forbidden', 'http.403', status('403 Forbidden')],
  ['a broken origin', 'http.500', status('500 Internal Server Error')],
  ['an origin that asks us to wait', 'http.429', status('429 Too Many Requests', { 'Retry-After': 3600 })],
  [
    'an origin that is closed until a date',
    'http.503',
    status('503 Busy', { 'Retry-After': 'Fri, 01 Jan 2100 00:00:00 GMT' }),
  ],
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
const demands: [what: string, code: string, job: Job][] = [
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

const names: [what: string, code: string, host: string][] = [
  ['does not exist', 'dns.not_found', 'gone.test'],
  ['may not exist', 'dns.not_found', 'nobody.invalid'],
  ['has no address', 'dns.no_address', 'mail-only.test'],
  ['cannot be one', 'dns.bad_name', `${'a'.repeat(64)}.test`],
  ['is not answered for', 'dns.timeout', 'silent.test'],
  ['is answered with SERVFAIL', 'dns.failed', 'broken.test'],
  ['is refused', 'dns.failed', 'refused.test'],
  ['leads to a private address', 'guard.private_address', 'private.test'],
  ['leads to a private address, among others', 'guard.private_address', 'half-private.test'],
]

/** Everything that can go wrong, at once, in one service. */
describe('a fault has a code:', () => {
  const open: AsyncDisposable[] = []
  const callbacks = new Map<string, Promise<Callback>>()
  const deliveries = new Map<string, Promise<Record<string, unknown>>>()
  let service: Service

  function opened<T extends AsyncDisposable>(resource: T): T {
    open.unshift(resource)
    return resource
  }

  async function listening(server: Server): Promise<number> {
    server.on('tlsClientError', () => {}).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const sockets = new Set<Socket>()
    server.on('connection', (socket) => sockets.add(socket.on('error', () => {})))
    open.unshift({
      async [Symbol.asyncDispose]() {
        for (const socket of sockets) socket.destroy()
        server.close()
        await once(server, 'close')
      },
    })
    return (server.address() as AddressInfo).port
  }

  before(async function () {
    this.timeout(30_000)
    const certificates = opened(await makeCertificates())
    const dns = opened(await startDns((name) => zone[name]))
    const s3 = opened(await startS3Server())
    s3.interfere = ({ path }, response) => {
      if (path.startsWith('/nobodys')) return s3Error(response, 404, 'NoSuchBucket')
      if (path.startsWith('/others')) return s3Error(response, 403, 'AccessDenied')
      if (path.startsWith('/busy')) return s3Error(response, 503, 'SlowDown')
      if (path.startsWith('/broken')) response.destroy()
      return path.startsWith('/broken')
    }
    const sqs = await listening(
      createHttpServer((request, response) => {
        request.resume()
        const body = '{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no such queue"}'
        response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end(body)
      }),
    )
    service = opened(
      await startService({
        roles: ['start'],
        env: {
          NODE_OPTIONS: localDns(dns.address),
          NODE_EXTRA_CA_CERTS: certificates.caFile,
          AWS_ENDPOINT_URL_S3: s3.endpoint,
          AWS_ACCESS_KEY_ID: 'test',
          AWS_SECRET_ACCESS_KEY: 'test',
          AWS_MAX_ATTEMPTS: '1',
        },
        config: {
          processor: {
            max_retries: 0,
            connect_timeout_ms: 3000,
            headers_timeout_ms: 3000,
            stall_timeout_ms: 3000,
            min_speed_window_s: 2,
          },
          notifier: { max_retries: 0 },
          backends: { http: { timeout: 2 }, sqs: { region: 'eu-west-1', endpoint: `http://127.0.0.1:${sqs}` } },
        },
      }),
    )
    await mkdir(service.root, { recursive: true })
    await writeFile(path.join(service.root, 'blocked'), 'a file')

    const raw = opened(
      await startRawOrigin((socket, head) => {
        const [, index] = /^GET \/(\d+)/.exec(head) ?? []
        const answer = index === undefined ? png : answers[Number(index)]?.[2]
        if (typeof answer === 'string') socket.end(answer, 'latin1')
        else answer?.(socket)
      }),
    )
    const fails = (what: string, job: Job) => {
      const id = service.enqueue({ aggr_id: what, aggr_limit: 1, ...job })
      callbacks.set(
        what,
        id.then((id) => service.receiver.callbackOf(id, 30_000)),
      )
    }
    for (const [index, [what]] of answers.entries()) fails(what, { url: `${raw.url}/${index}` })
    for (const [what, , job] of demands) fails(what, { url: `${raw.url}/png`, ...job })
    for (const [what, , host] of names) fails(what, { url: `http://${host}:${raw.port}/` })

    const silent = await listening(createServer())
    const hole = opened(await startBlackHole('127.0.0.2'))
    const proxy = opened(await startProxy({ refusal: 'HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n' }))
    const tls = async (options: TlsOptions) => `https://127.0.0.1:${await listening(createTlsServer(options))}/`
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' } as const
    fails('a page of text as a picture', { url: `${service.url}/hb`, extract_image_size: true })
    fails('a download that takes too long', {
      url: `${raw.url}/${answers.findIndex(([what]) => what === 'silence')}`,
      download_timeout: 1,
    })
    fails('a port where nobody listens', { url: 'http://127.0.0.1:1025/' })
    fails('a handshake that does not end', { url: `https://127.0.0.1:${silent}/` })
    fails('an address that answers nothing', { url: `http://hole.test:${hole.port}/` })
    fails('a certificate that vouches for itself', { url: await tls(certificates.selfSigned) })
    fails('a certificate that has expired', { url: await tls(certificates.expired) })
    fails('a certificate of the future', { url: await tls(certificates.notYetValid) })
    fails('a certificate of another host', { url: await tls(certificates.otherHost) })
    fails('an old version of TLS', { url: await tls({ ...certificates.good, ...old }) })
    fails('no common cipher', {
      url: await tls({ ...certificates.good, ciphers: 'AES128-SHA256', maxVersion: 'TLSv1.2' }),
    })
    fails('HTTP/2 only', { url: await tls({ ...certificates.good, ALPNProtocols: ['h2'] }) })
    fails('a port that speaks no TLS', { url: raw.url.replace('http', 'https') })
    fails('a proxy that is not there', { url: `${raw.url}/`, aggr_proxy: 'http://127.0.0.1:1025' })
    fails('a proxy that wants to know us', { url: `${raw.url}/`, aggr_proxy: proxy.url })
    fails('a tunnel that is refused', { url: raw.url.replace('http', 'https'), aggr_proxy: proxy.url })

    const receiver = opened(
      await startRawOrigin((socket, head) => (/^POST \/busy/.test(head) ? status('503 Busy') : void socket.resume())),
    )
    const undelivered = (what: string, job: Job) => {
      const id = service.enqueue({ aggr_id: what, url: `${raw.url}/png`, ...job })
      const lost = ({ msg, job_id }: Record<string, unknown>, id: string) => msg === 'callback failed' && job_id === id
      deliveries.set(
        what,
        id.then((id) => service.role('start').logged((line) => lost(line, id))),
      )
    }
    undelivered('a receiver that is busy', { callback_dst: `${receiver.url}/busy` })
    undelivered('a receiver that hangs', { callback_dst: `${receiver.url}/hang` })
    undelivered('a receiver that is not there', { callback_dst: 'http://127.0.0.1:1025/' })
    undelivered('a receiver whose name leads to the metadata of the cloud', { callback_dst: 'http://metadata.test/' })
    undelivered('a queue that is not there', { callback_type: 'sqs', callback_dst: `127.0.0.1:${sqs}/1/gone` })
    for (const waiting of [...callbacks.values(), ...deliveries.values()]) waiting.catch(() => {}) // each test awaits its own
  })
  after(async () => {
    for (const resource of open) await resource[Symbol.asyncDispose]()
  })

  const others: [what: string, code: string][] = [
    ['a page of text as a picture', 'image.size'],
    ['a download that takes too long', 'timeout.total'],
    ['a port where nobody listens', 'connect.refused'],
    ['a handshake that does not end', 'connect.timeout'],
    ['an address that answers nothing', 'connect.timeout'],
    ['a certificate that vouches for itself', 'tls.untrusted'],
    ['a certificate that has expired', 'tls.expired'],
    ['a certificate of the future', 'tls.not_yet_valid'],
    ['a certificate of another host', 'tls.hostname'],
    ['an old version of TLS', 'tls.version'],
    ['no common cipher', 'tls.handshake'],
    ['HTTP/2 only', 'response.http2_only'],
    ['a port that speaks no TLS', 'tls.failed'],
    ['a proxy that is not there', 'proxy.failed'],
    ['a proxy that wants to know us', 'proxy.failed'],
    ['a tunnel that is refused', 'proxy.failed'],
  ]
  const faults: [what: string, code: string][] = [...answers, ...demands, ...names, ...others].map(([what, code]) => [
    what,
    code,
  ])
  for (const [what, code] of faults) {
    it(`${what}: ${code}`, async () => {
      const callback = await callbacks.get(what)
      assert.ok(callback)
      const { success, error, error_code, sha256, timings } = callback
      assert.deepEqual({ success, error_code, sha256 }, { success: false, error_code: code, sha256: '' }, error)
      assert.equal(/^TLS Error Occured: ./.test(error), code.startsWith('tls.') || what === 'HTTP/2 only', error)
      assert.equal(error.includes('unexpected EOF'), code === 'body.truncated', error)
      assert.ok(error.length > 10 && timings.total >= 0, error)
    }).timeout(35_000)
  }

  const receivers: [what: string, code: string][] = [
    ['a receiver that is busy', 'receiver.status'],
    ['a receiver that hangs', 'receiver.timeout'],
    ['a receiver that is not there', 'receiver.unreachable'],
    ['a receiver whose name leads to the metadata of the cloud', 'receiver.refused'],
    ['a queue that is not there', 'receiver.unknown_queue'],
  ]
  for (const [what, code] of receivers) {
    it(`${what}: ${code}`, async () => {
      assert.equal((await deliveries.get(what))?.code, code)
    }).timeout(35_000)
  }

  it('of the list, and the metrics count it by that', async () => {
    const expected = new Map<string, number>()
    for (const [, code] of [...faults, ...receivers]) {
      const name = code === 'http.799' ? 'http.other' : code
      expected.set(name, (expected.get(name) ?? 0) + 1)
    }
    assert.ok(faults.length + receivers.length >= 45 && expected.size >= 35)
    for (const code of expected.keys()) {
      assert.ok(code.startsWith('http.') || errorCodes.some((known) => known === code), code)
    }
    await eventually(async () => {
      const metrics = await (await service.get('/metrics')).text()
      const counted = metrics.matchAll(/^downloader_failures_total{process="[^"]+",code="([^"]+)"} (\d+)$/gm)
      const counts = [...counted].map(([, code = '', count]) => [code, Number(count)] as const)
      assert.deepEqual(counts.toSorted(), [...expected].toSorted())
    })
    const bugs = service.role('start').logs.filter(({ msg }) => /bug/.test(String(msg)))
    assert.deepEqual(bugs, [])
  })
})
