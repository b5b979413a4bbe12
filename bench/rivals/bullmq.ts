import path from 'node:path'
import { startHelper } from '../remote.ts'
import type { Service, Stage } from '../stage.ts'
import type { commands as apiCommands } from './bullmq-api.ts'
import type { commands as callbackCommands } from './bullmq-callbacks.ts'
import type { commands as downloadCommands } from './bullmq-downloads.ts'

/** BullMQ's API alone: jobs only wait. */
export async function startBullmqApi(stage: Stage): Promise<Service> {
  const api = await startHelper<typeof apiCommands>('rivals/bullmq-api.ts')
  return {
    url: await api.ask.start(stage.redis.port),
    processes: () => [['api', api.pid]],
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  }
}

/**
 * The same work on BullMQ: API, download worker and callback worker, a process each. Its free edition has no groups, so
 * nothing limits an aggregation here.
 */
export async function startBullmq(stage: Stage, concurrency = 256, callbacks = 50): Promise<Service> {
  const { port } = stage.redis
  const api = await startBullmqApi(stage)
  const downloader = await startHelper<typeof downloadCommands>('rivals/bullmq-downloads.ts')
  const notifier = await startHelper<typeof callbackCommands>('rivals/bullmq-callbacks.ts')
  await notifier.ask.start(port, callbacks)
  await downloader.ask.start(port, path.join(stage.dir, 'files'), concurrency)
  return {
    url: api.url,
    processes: () => [...api.processes(), ['notifier', notifier.pid], ['processor', downloader.pid]],
    async [Symbol.asyncDispose]() {
      for (const part of [api, downloader, notifier]) await part[Symbol.asyncDispose]()
    },
  }
}
