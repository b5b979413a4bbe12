// BullMQ's side, 1 of 3: takes jobs over HTTP.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Queue } from 'bullmq'
import Koa from 'koa'
import { z } from 'zod'
import { answer } from '../remote.ts'
import { DOWNLOADS, type DownloadData, jobOptions, logErrors, producing } from './bullmq-options.ts'

const DownloadRequest = z.object({ url: z.url(), callback_dst: z.url() })

export const commands = {
  /** Resolves to the address. */
  async start(redisPort: number): Promise<string> {
    const connection = producing(redisPort)
    const downloads = new Queue<DownloadData>(DOWNLOADS, { connection, defaultJobOptions: jobOptions })
    logErrors(downloads)
    await downloads.waitUntilReady()

    const app = new Koa()
    app.use(async (ctx) => {
      const chunks: Buffer[] = []
      for await (const chunk of ctx.req) chunks.push(chunk)
      const request = DownloadRequest.parse(JSON.parse(Buffer.concat(chunks).toString()))
      const job = await downloads.add('download', { url: request.url, receiver: request.callback_dst })
      ctx.status = 201
      ctx.body = { id: job.id }
    })
    const server = createServer(app.callback())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  },
}
answer(commands)
