import { type Client, RedisUnavailable } from './redis.ts'

/**
 * Runs `work`, but not for longer than a Redis that it needs is away.
 *
 * @param clients by what they are called in the error
 * @param patienceMs how long one may be away
 * @throws {RedisUnavailable} naming the one that was away for longer; `work` is left to itself then
 */
export async function whileReachable<T>(
  clients: Record<string, Client>,
  patienceMs: number,
  work: () => Promise<T>,
): Promise<T> {
  const ends: (() => void)[] = []
  try {
    return await new Promise<T>((resolve, reject) => {
      for (const [name, client] of Object.entries(clients)) {
        let timer: NodeJS.Timeout | undefined
        const text = `${name} has been away for ${Math.round(patienceMs / 1000)} s`
        const onClose = () => {
          timer ??= setTimeout(() => reject(new RedisUnavailable(text)), patienceMs)
        }
        const onReady = () => {
          clearTimeout(timer)
          timer = undefined
        }
        client.on('close', onClose).on('ready', onReady)
        ends.push(
          () => void onReady(),
          () => void client.off('close', onClose).off('ready', onReady),
        )
        if (client.status !== 'ready') onClose()
      }
      work().then(resolve, reject)
    })
  } finally {
    for (const end of ends) end()
  }
}
