import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import type { TestRedis } from './redis.ts'
import { AGREE_MS, caughtUp, infoOf, type Replicated, replicationArgs, serversTogether } from './replication.ts'

export interface TestSentinels extends Replicated {
  readonly config: { sentinel: string[]; master_name: string }
  readonly sentinels: readonly TestRedis[]
}

export interface SentinelOptions {
  /** How long the master does not answer until a Sentinel says so, ms. */
  downAfterMs?: number
  /** A failover that takes longer is given up, and the next one comes after twice this, ms. */
  failoverTimeoutMs?: number
  /**
   * How long the master takes no writes when a failover is asked for, ms; 0: not at all. SENTINEL FAILOVER alone does
   * not hold them back, and loses what the old master takes after the new one was told.
   */
  pauseMs?: number
  /**
   * How often the Sentinels look and tell, ms. Theirs is 10 s and 2 s, so that they have settled 20 s after a failover;
   * for tests that do not wait that long (`SENTINEL DEBUG`, Redis 7).
   */
  periodMs?: number
  /** Further arguments of the data nodes. */
  args?: string[]
  /** Further lines in the Sentinels' configuration file. */
  lines?: string[]
}

const NAME = 'main'
const QUORUM = 2

/** One master, two replicas and three Sentinels that watch them; all of them real, and gone with the test process. */
export async function startSentinels(options: SentinelOptions = {}): Promise<TestSentinels> {
  const { downAfterMs = 2000, failoverTimeoutMs = 5000, pauseMs = 5000, periodMs, args = [], lines = [] } = options
  const servers = serversTogether()
  try {
    // A file, though an empty one: the Sentinels have what they decide written there.
    const node = { file: '', args: [...replicationArgs, ...args] }
    const nodes = await Promise.all([1, 2, 3].map(() => servers.start(node)))
    const [first, ...others] = nodes
    assert.ok(first)
    await Promise.all(others.map((node) => node.cli('REPLICAOF', '127.0.0.1', String(first.port))))
    await Promise.all(others.map((node) => caughtUp(first, node)))

    const file = [
      `sentinel monitor ${NAME} 127.0.0.1 ${first.port} ${QUORUM}`,
      `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
      `sentinel failover-timeout ${NAME} ${failoverTimeoutMs}`,
      ...lines,
    ].join('\n')
    const sentinels = await Promise.all([1, 2, 3].map(() => servers.start({ file, args: ['--sentinel'] })))
    if (periodMs !== undefined) {
      const periods = ['INFO-PERIOD', 'PUBLISH-PERIOD'].flatMap((name) => [name, String(periodMs)])
      await Promise.all(sentinels.map((sentinel) => sentinel.cli('SENTINEL', 'DEBUG', ...periods)))
    }
    const set = sentinelsOf(nodes, sentinels, pauseMs, servers)
    await eventually(() => agreed(sentinels, nodes.length - 1), AGREE_MS)
    return set
  } catch (error) {
    await servers[Symbol.asyncDispose]()
    throw error
  }
}

/**
 * Every Sentinel knows the others, has seen each node in its role, and thinks that all are well. One that has not makes
 * a replica of what the next failover promotes.
 */
async function agreed(sentinels: readonly TestRedis[], replicas: number): Promise<void> {
  for (const sentinel of sentinels) {
    const master = fieldsOf(await sentinel.cli('SENTINEL', 'MASTER', NAME))
    assert.deepEqual([master.get('flags'), master.get('role-reported')], ['master', 'master'])
    assert.equal(master.get('num-other-sentinels'), String(sentinels.length - 1))
    const others = (await sentinel.cli('SENTINEL', 'REPLICAS', NAME)).split(/^(?=name$)/m).map(fieldsOf)
    const seen = others.map((replica) => `${replica.get('flags')} ${replica.get('role-reported')}`)
    assert.deepEqual(seen, Array(replicas).fill('slave slave'))
  }
}

/** Of lines that are name and value by turns. */
function fieldsOf(text: string): Map<string, string> {
  const lines = text.split('\n')
  return new Map(lines.flatMap((name, i) => (i % 2 === 0 ? [[name, lines[i + 1] ?? ''] as const] : [])))
}

function sentinelsOf(
  nodes: TestRedis[],
  sentinels: TestRedis[],
  pauseMs: number,
  owner: AsyncDisposable,
): TestSentinels {
  const config = { sentinel: sentinels.map(({ addr }) => addr), master_name: NAME }

  /** The port that so many Sentinels name that no others could name another. */
  async function portOfMaster(): Promise<number> {
    const replies = await Promise.all(
      sentinels.map((sentinel) => sentinel.cli('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME).catch(() => '')),
    )
    const named = replies.map((reply) => Number(reply.split('\n')[1]))
    const port = named.find((port) => named.filter((other) => other === port).length >= QUORUM)
    if (!port) throw new Error(`the Sentinels do not agree: ${named.join(', ')}`)
    return port
  }

  async function master(): Promise<TestRedis> {
    const port = await portOfMaster()
    const node = nodes.find((node) => node.port === port)
    if (!node) throw new Error(`nobody started a node on port ${port}`)
    return node
  }

  return {
    config,
    nodes,
    sentinels,
    master,
    async failover(how) {
      const old = await master()
      if (how === 'killed') await old.kill()
      else {
        const [one] = sentinels
        assert.ok(one)
        if (pauseMs > 0) await old.cli('CLIENT', 'PAUSE', String(pauseMs), 'WRITE')
        // NOGOODSLAVE or INPROG soon after the last failover: again
        await eventually(() => one.cli('SENTINEL', 'FAILOVER', NAME), AGREE_MS)
      }
      await eventually(async () => {
        const now = await master()
        assert.notEqual(now.port, old.port)
        assert.equal((await infoOf(now, 'replication')).role, 'master')
      }, AGREE_MS)
      return old
    },
    async inSync() {
      // They ask for roles every 10 s. And they may have made another one the master meanwhile.
      await eventually(async () => {
        const current = await master()
        await Promise.all(nodes.filter((node) => node !== current).map((node) => caughtUp(current, node)))
        await agreed(sentinels, nodes.length - 1)
      }, 2 * AGREE_MS)
    },
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  }
}
