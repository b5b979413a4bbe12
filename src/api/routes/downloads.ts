import Router from '@koa/router'
import { downloadRequestSchema } from '../../download-request.ts'
import type { CallbackType } from '../../jobs/job.ts'
import type { Queue } from '../../queue/queue.ts'
import { readJson } from '../read-json.ts'

export interface DownloadDeps {
  queue: Pick<Queue, 'add'>
  backends: readonly CallbackType[]
  maxBodyBytes: number
}

/** `POST /download`: accepts a job. 201 says that Redis has it; 400 names the field. */
export function downloadRoutes({ queue, backends, maxBodyBytes }: DownloadDeps): Router {
  const schema = downloadRequestSchema(backends)
  return new Router().post('/download', async (ctx) => {
    const id = await queue.add(schema.parse(await readJson(ctx.req, maxBodyBytes)))
    ctx.status = 201
    ctx.body = { id }
  })
}
