import { startRedis, type TestRedis } from '../support/redis.ts'
import { startCluster } from '../support/redis-cluster.ts'
import type { Replicated } from '../support/replication.ts'
import { startSentinels } from '../support/sentinel.ts'
import { KEY_PREFIX } from './settings.ts'

export type StoreKind = 'always' | 'everysec' | 'sentinel' | 'cluster'

/** The Redis under the service. */
export interface Store extends AsyncDisposable {
  /** For the section `redis` of the configuration. */
  readonly config: Record<string, unknown>
  /** `host:port` of each Sentinel. */
  readonly sentinels: readonly string[]
  /** The one server, where there is but one. */
  readonly single?: TestRedis
  /** The servers, where one can stand in for another. */
  readonly replicated?: Replicated
}

const KEEPING = ['--appendonly', 'yes', '--appendfsync', 'everysec']

export async function startStore(kind: StoreKind, waitReplicas: number): Promise<Store> {
  if (kind === 'always' || kind === 'everysec') {
    const single = await startRedis({ appendonly: kind })
    return {
      config: { addr: single.addr },
      sentinels: [],
      single,
      [Symbol.asyncDispose]: () => single[Symbol.asyncDispose](),
    }
  }
  const key = `{${KEY_PREFIX}}:downloads`
  const replicated = await (kind === 'sentinel'
    ? startSentinels({ args: KEEPING })
    : startCluster({ key, args: KEEPING }))
  return {
    config: { ...replicated.config, ...(waitReplicas > 0 ? { wait_replicas: waitReplicas } : {}) },
    sentinels: 'sentinel' in replicated.config ? replicated.config.sentinel : [],
    replicated,
    [Symbol.asyncDispose]: () => replicated[Symbol.asyncDispose](),
  }
}
