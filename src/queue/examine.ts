import { type Log, newLog } from '../log.ts'
import { keysOf } from './keys.ts'
import { connect, persistently } from './redis.ts'
import type { RedisConfig } from './redis-config.ts'

const OLDEST = 6.2
/** WAITAOF came with it. */
const WAITS_FOR_AOF = 7.2
const WAIT_FOR_REDIS_MS = 60_000

/**
 * Looks once whether Redis keeps what is entrusted to it, and warns in the log where it does not. Gives up quietly when
 * Redis does not come within a minute: that is said elsewhere.
 */
export async function examineRedis(config: RedisConfig, log: Log, stop: AbortSignal): Promise<void> {
  const redis = connect(config, 'patient', newLog('', 'silent'))
  const { totals } = keysOf(config.key_prefix)
  // in one pipeline with one of our keys, so that a Cluster asks the server that has them
  const ask = async () => {
    const [, [error, info] = []] = (await redis.pipeline().exists(totals).info().exec()) ?? []
    if (error) throw error
    return String(info)
  }
  try {
    const info = await persistently(ask, AbortSignal.any([stop, AbortSignal.timeout(WAIT_FOR_REDIS_MS)]), log)
    for (const complaint of complaintsOf(info, config)) log.warn(complaint)
  } catch (error) {
    log.debug({ error: String(error) }, 'Redis was not examined')
  } finally {
    redis.disconnect()
  }
}

/** @param info what Redis answers to INFO */
export function complaintsOf(info: string, { wait_replicas = 0, wait_aof = false }: RedisConfig): string[] {
  const fields = new Map([...info.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]))
  // Valkey says 7.2.4 here for ever, and what it really is in `valkey_version`
  const version = fields.get('redis_version') ?? ''
  const number = Number.parseFloat(version)
  const replicas = Number(fields.get('connected_slaves') ?? 0)
  const complaints: string[] = []
  if (number < OLDEST) complaints.push(`Redis ${version} is too old: ${OLDEST} or newer is wanted`)
  if (wait_aof && number < WAITS_FOR_AOF) {
    complaints.push(`redis.wait_aof needs Redis ${WAITS_FOR_AOF}, and this is ${version}: no job will be accepted`)
  }
  if (fields.get('aof_enabled') === '0') {
    complaints.push('Redis keeps no append-only file (appendonly no): when it dies, jobs are lost')
    if (wait_aof) complaints.push('redis.wait_aof waits for an append-only file that Redis does not keep')
  }
  const policy = fields.get('maxmemory_policy')
  if (policy !== undefined && policy !== 'noeviction') {
    complaints.push(`Redis deletes keys when memory is short (maxmemory-policy ${policy}): jobs are lost then`)
  }
  if (replicas < wait_replicas) {
    complaints.push(
      `Redis has ${replicas} replicas, and redis.wait_replicas is ${wait_replicas}: no job will be accepted`,
    )
  }
  return complaints
}
