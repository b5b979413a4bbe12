// BullMQ's side, 2 of 3: downloads.
import path from 'node:path'
import { Queue, Worker } from 'bullmq'
import { answer } from '../remote.ts'
import {
  CALLBACKS,
  type CallbackData,
  consuming,
  DOWNLOADS,
  type DownloadData,
  jobOptions,
  logErrors,
} from './bullmq-options.ts'
import { download, fanOut, inspector, keepAlive, syncFolder } from './work.ts'

export const commands = {
  async start(redisPort: number, dir: string, concurrency: number): Promise<void> {
    const connection = consuming(redisPort)
    const agent = keepAlive()
    const targetOf = await fanOut(dir)
    const callbacks = new Queue<CallbackData>(CALLBACKS, { connection, defaultJobOptions: jobOptions })
    const worker = new Worker<DownloadData>(
      DOWNLOADS,
      async ({ id = '', data: { url, receiver } }) => {
        // The same names when a job that stalled is run again: it replaces what the first run left.
        const target = targetOf(id, Number(id))
        const inspected = inspector()
        const bytes = await download(agent, url, path.join(dir, `${id}.tmp`), target, inspected)
        const verified = await inspected.end()
        await syncFolder(path.dirname(target))
        // The same id when it is run again: a callback that waits is not doubled.
        await callbacks.add('callback', { id, receiver, bytes, verified }, { jobId: `callback-${id}` })
      },
      { connection, concurrency },
    )
    logErrors(callbacks, worker)
    await worker.waitUntilReady()
  },
}
answer(commands)
