import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import { startRedis, type TestRedis, type TestRedisOptions } from './redis.ts'

/** Several servers that stand in for each other, and how their master is lost. Sentinels and Clusters are such. */
export interface Replicated extends AsyncDisposable {
  /** All data nodes, whatever they are now. */
  readonly nodes: readonly TestRedis[]
  /** For the section `redis` of a configuration. */
  readonly config: { sentinel: string[]; master_name: string } | { cluster: string[] }
  /** The node that takes our keys now, as those say who decide it. */
  master(): Promise<TestRedis>
  /**
   * Makes another node the master, and resolves once it is.
   *
   * @param how `killed`: SIGKILL of the master, which stays away until the test calls its `start`;
   *   `asked`: both live, and the old one becomes a replica
   * @returns the old master
   */
  failover(how: FailoverKind): Promise<TestRedis>
  /** Resolves when every node is there, and has what its master has at this moment. */
  inSync(): Promise<void>
}

export type FailoverKind = 'asked' | 'killed'

/** How long the nodes get to agree on anything: on a busy machine an election may take several rounds. */
export const AGREE_MS = 30_000

/** How long a first copy takes at most; our tests hold little. */
const COPY_MS = 10_000

/** A replica does not wait for others before the first copy, so that a set is up at once. */
export const replicationArgs = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']

export interface Servers extends AsyncDisposable {
  start(options: TestRedisOptions): Promise<TestRedis>
}

/** Owns the servers that it starts, also those that are still starting when another one has failed to. */
export function serversTogether(): Servers {
  const started: Promise<TestRedis>[] = []
  return {
    start(options) {
      const server = startRedis(options)
      started.push(server)
      return server
    },
    async [Symbol.asyncDispose]() {
      const results = await Promise.allSettled(started)
      await Promise.all(results.map((result) => result.status === 'fulfilled' && result.value[Symbol.asyncDispose]()))
    },
  }
}

/** The fields of `INFO section`. */
export async function infoOf(node: TestRedis, section: string): Promise<Record<string, string>> {
  const lines = (await node.cli('INFO', section)).split('\r\n').filter((line) => line.includes(':'))
  return Object.fromEntries(lines.map((line) => line.split(/:(.*)/s).slice(0, 2)))
}

/** Resolves when the replica has what its master has at this moment; rejects when it follows another one. */
export async function caughtUp(master: TestRedis, replica: TestRedis): Promise<void> {
  const reached = Number((await infoOf(master, 'replication')).master_repl_offset)
  const follows = async () => {
    const info = await infoOf(replica, 'replication')
    assert.equal(info.role, 'slave')
    assert.equal(info.master_port, String(master.port))
    return info
  }
  await follows()
  await eventually(async () => {
    const info = await follows()
    assert.equal(info.master_link_status, 'up')
    assert.ok(Number(info.slave_repl_offset) >= reached, `${info.slave_repl_offset} of ${reached}`)
  }, COPY_MS)
}
