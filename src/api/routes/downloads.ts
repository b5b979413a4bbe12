import Router from '@koa/router'
import { downloadRequestSchema } from '../../download-request.ts'
import type { Queue } from '../../queue/queue.ts'
import { type DryRunDeps, dryRun } from '../dry-run.ts'
import { Problem } from '../problems.ts'
import { readJson } from '../read-json.ts'

export interface DownloadDeps extends DryRunDeps {
  queue: Pick<Queue, 'add'>
  maxBodyBytes: number
}

/**
 * `POST /download`: accepts a job. 201 says that Redis has it; 400 names the field. With `?dry_run=1` it only says what
 * would become of it.
 */
export function downloadRoutes({ queue, maxBodyBytes, ...deps }: DownloadDeps): Router {
  const schema = downloadRequestSchema(deps.backends, deps.guards)
  const rehearse = dryRun(deps)
  return new Router().post('/download', async (ctx) => {
    const isDry = isSet('dry_run', ctx.query.dry_run)
    const body = await readJson(ctx.req, maxBodyBytes)
    if (isDry) {
      ctx.body = await rehearse(body)
      return
    }
    const id = await queue.add(schema.parse(body))
    ctx.status = 201
    ctx.body = { id }
  })
}

/** Who asks for a dry run in other words is told so, and no job is made of it. */
function isSet(name: string, value: string | string[] | undefined): boolean {
  if (value === undefined || value === '0' || value === 'false') return false
  if (value === '1' || value === 'true') return true
  throw new Problem(400, `${name}: must be 1 or 0, once`)
}
