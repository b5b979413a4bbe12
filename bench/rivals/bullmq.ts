// The same work on BullMQ: `node --import tsx bullmq.ts api|downloads|callbacks REDIS_PORT RECEIVER DIR`.
// As its documentation advises: one connection for each queue and worker, jobs removed when they are done, retries with
// exponential backoff, a worker for each step.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Queue, Worker } from 'bullmq'
import Koa from 'koa'
import { callBack, download } from './work.ts'

const [role = '', port = '', receiver = '', dir = ''] = process.argv.slice(2)
const connection = { host: '127.0.0.1', port: Number(port) }
const defaultJobOptions = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 10_000 },
  removeOnComplete: true,
  removeOnFail: false,
}

function api(): void {
  const downloads = new Queue('downloads', { connection, defaultJobOptions })
  const koa = new Koa()
  koa.use(async (ctx) => {
    const chunks: Buffer[] = []
    for await (const chunk of ctx.req) chunks.push(chunk)
    const { url } = JSON.parse(Buffer.concat(chunks).toString())
    const job = await downloads.add('download', { url })
    ctx.status = 201
    ctx.body = { id: job.id }
  })
  const server = createServer(koa.callback()).listen(0, '127.0.0.1', () => {
    process.stderr.write(`listening ${(server.address() as AddressInfo).port}\n`)
  })
}

function downloads(): void {
  const callbacks = new Queue('callbacks', { connection, defaultJobOptions })
  const worker = new Worker(
    'downloads',
    async (job) => {
      const bytes = await download(job.data.url, dir)
      await callbacks.add('callback', { id: job.id, bytes })
    },
    { connection, concurrency: 256 },
  )
  worker.on('ready', () => process.stderr.write('ready\n'))
}

function callbacks(): void {
  const worker = new Worker('callbacks', (job) => callBack(receiver, job.data.id, job.data.bytes), {
    connection,
    concurrency: 50,
  })
  worker.on('ready', () => process.stderr.write('ready\n'))
}

if (role === 'api') api()
if (role === 'downloads') downloads()
if (role === 'callbacks') callbacks()
