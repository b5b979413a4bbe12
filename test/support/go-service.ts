import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import type { TestRedis } from './redis.ts'

/** The fields of a job's hash as the Go service writes them: all of them, always. */
export type GoFields = Record<string, string>

/** The Redis of the Go service, and what its processes do there: the same keys by the same commands. */
export interface GoService extends AsyncDisposable {
  /** `redis://127.0.0.1:port/db` */
  readonly url: string
  readonly redis: Redis
  /** What its API does with a request: the aggregation when there is none, the job, its place in the queue. */
  post(fields?: GoFields, aggregation?: GoFields): Promise<string>
  /** What a processor does first: takes the next job that is due out of a queue. Null when there is none. */
  popJob(aggrId: string): Promise<string | null>
  /** A download begins. */
  start(id: string): Promise<void>
  /** A download that failed is queued again. */
  requeue(id: string, delayS: number): Promise<void>
  /** A download is over, and its callback queued, if it has one. */
  finish(id: string, fields?: GoFields): Promise<void>
  popCallback(): Promise<string | null>
  /** A delivery begins. */
  call(id: string): Promise<void>
  callAgain(id: string, delayS: number): Promise<void>
  callFailed(id: string, why: string): Promise<void>
  /** A callback was delivered: the job goes, its file later. */
  delivered(id: string, deletionDelayS: number): Promise<void>
  /** Every key and what it holds. */
  contents(): Promise<Record<string, unknown>>
}

const NEW: GoFields = {
  URL: 'http://origin.example/file',
  AggrID: 'shop',
  MaxRetries: 'null',
  DownloadState: 'Pending',
  DownloadCount: '0',
  DownloadMeta: '',
  CallbackState: '',
  CallbackType: 'http',
  CallbackDst: 'http://receiver.example/callback',
  CallbackURL: '',
  CallbackMeta: '',
  CallbackCount: '0',
  Extra: '',
  ResponseCode: '0',
  MimeType: '',
  ExtractImageSize: '0',
  ImageSize: '',
  DownloadTimeout: '0',
  RequestHeaders: 'null',
  S3Bucket: '',
  S3Region: '',
  DownloadURL: '',
}

const POP = `
local id = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if id then redis.call('ZREM', KEYS[1], id) end
return id`

export const goId = (): string => randomBytes(10).toString('base64url')

export function goServiceOn(server: TestRedis, db = 0): GoService {
  const redis = new Redis({ host: '127.0.0.1', port: server.port, db })
  redis.on('error', () => {}) // a test may end the server first
  const nowS = () => Math.floor(Date.now() / 1000)
  const save = (id: string, fields: GoFields) => redis.hset(`job:${id}`, fields)
  const pop = (queue: string) => redis.eval(POP, 1, queue, nowS()) as Promise<string | null>

  async function queueCallback(id: string, fields: GoFields, delayS: number) {
    const [url, dst] = await redis.hmget(`job:${id}`, 'CallbackURL', 'CallbackDst')
    const called = url !== '' || dst !== ''
    await save(id, { ...fields, ...(called ? { CallbackState: 'Pending' } : {}) })
    if (called) await redis.zadd('CallbackQueue', nowS() + delayS, id)
  }

  return {
    url: `redis://127.0.0.1:${server.port}/${db}`,
    redis,
    async post(fields = {}, aggregation = {}) {
      const id = fields.ID ?? goId()
      const job: GoFields = { ...NEW, ID: id, ...fields }
      const key = `aggr:${job.AggrID}`
      if ((await redis.exists(key)) === 0) {
        await redis.hset(key, { ID: job.AggrID ?? '', Limit: '4', Proxy: '', ExpiresAt: '', ...aggregation })
      }
      await save(id, job)
      await redis.zadd(`jobs:${job.AggrID}`, nowS(), id)
      return id
    },
    popJob: (aggrId) => pop(`jobs:${aggrId}`),
    async start(id) {
      await save(id, { DownloadState: 'InProgress', DownloadMeta: '', ResponseCode: '0' })
    },
    async requeue(id, delayS) {
      const aggrId = await redis.hget(`job:${id}`, 'AggrID')
      const count = Number(await redis.hget(`job:${id}`, 'DownloadCount')) + 1
      await save(id, { DownloadState: 'Pending', DownloadCount: String(count) })
      await redis.zadd(`jobs:${aggrId}`, nowS() + delayS, id)
    },
    async finish(id, fields = {}) {
      const count = Number(await redis.hget(`job:${id}`, 'DownloadCount')) + 1
      const done = { DownloadState: 'Success', ResponseCode: '200', DownloadCount: String(count), ...fields }
      await queueCallback(id, done, 0)
    },
    popCallback: () => pop('CallbackQueue'),
    async call(id) {
      const count = Number(await redis.hget(`job:${id}`, 'CallbackCount')) + 1
      await save(id, { CallbackState: 'InProgress', CallbackMeta: '', CallbackCount: String(count) })
    },
    callAgain: (id, delayS) => queueCallback(id, {}, delayS),
    async callFailed(id, why) {
      await save(id, { CallbackState: 'Failed', CallbackMeta: why })
    },
    async delivered(id, deletionDelayS) {
      await redis.del(`job:${id}`)
      await redis.zadd('JobDeletionQueue', nowS() + deletionDelayS, id)
    },
    async contents() {
      const found: Record<string, unknown> = {}
      for (const key of (await redis.keys('*')).sort()) {
        const kind = await redis.type(key)
        if (kind === 'hash') found[key] = await redis.hgetall(key)
        else if (kind === 'zset') found[key] = await redis.zrange(key, '0', '-1', 'WITHSCORES')
        else found[key] = kind
      }
      return found
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect()
    },
  }
}
