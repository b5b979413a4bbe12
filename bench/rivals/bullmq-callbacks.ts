// BullMQ's side, 3 of 3: calls back.
import { Worker } from 'bullmq'
import { answer } from '../remote.ts'
import { CALLBACKS, type CallbackData, consuming, logErrors } from './bullmq-options.ts'
import { callBack, keepAlive } from './work.ts'

export const commands = {
  async start(redisPort: number, concurrency: number): Promise<void> {
    const agent = keepAlive()
    const worker = new Worker<CallbackData>(
      CALLBACKS,
      ({ data: { id, receiver, bytes, verified } }) => callBack(agent, receiver, id, bytes, verified),
      { connection: consuming(redisPort), concurrency },
    )
    logErrors(worker)
    await worker.waitUntilReady()
  },
}
answer(commands)
