import assert from 'node:assert/strict'
import { eventually } from './eventually.ts'
import { freePort, type TestRedis } from './redis.ts'
import { AGREE_MS, caughtUp, infoOf, type Replicated, replicationArgs, serversTogether } from './replication.ts'

export interface TestCluster extends Replicated {
  readonly config: { cluster: string[] }
  /** The master of the key's slot, as the nodes say of themselves. */
  ownerOf(key: string): Promise<TestRedis>
  /** A replica of that master that is up. */
  replicaOf(key: string): Promise<TestRedis>
}

export interface ClusterOptions {
  /** How long a node does not answer until the others say so, ms. */
  nodeTimeoutMs?: number
  /** The key that `master` and `failover` speak of. */
  key?: string
  /** Further arguments of the nodes. */
  args?: string[]
}

const MASTERS = 3
const SLOTS = 16_384
/** After this a node gives up a failover that it was asked for. */
const MANUAL_FAILOVER_MS = 5000

/** Three masters, each with one replica; all of them real, and gone with the test process. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  const { nodeTimeoutMs = 1000, key = '{downloader}:downloads', args = [] } = options
  const servers = serversTogether()
  try {
    const nodes = await Promise.all(
      Array.from({ length: 2 * MASTERS }, async () => {
        // The default, 10000 above the other port, may not exist.
        const bus = ['--cluster-port', String(await freePort())]
        const cluster = ['--cluster-enabled', 'yes', '--cluster-node-timeout', String(nodeTimeoutMs), ...bus]
        return servers.start({ args: [...replicationArgs, ...cluster, ...args] })
      }),
    )
    await join(nodes)
    return clusterOf(nodes, key, servers)
  } catch (error) {
    await servers[Symbol.asyncDispose]()
    throw error
  }
}

/** Makes one cluster of empty nodes: the first ones become masters, the others their replicas. */
async function join(nodes: TestRedis[]): Promise<void> {
  const masters = nodes.slice(0, MASTERS)
  const share = Math.ceil(SLOTS / MASTERS)
  const [first] = masters
  assert.ok(first)
  await Promise.all(
    masters.map(async (node, i) => {
      await node.cli('CLUSTER', 'ADDSLOTSRANGE', `${i * share}`, `${Math.min((i + 1) * share, SLOTS) - 1}`)
      await node.cli('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))
    }),
  )
  for (const node of nodes.slice(1)) {
    const bus = (await node.cli('CONFIG', 'GET', 'cluster-port')).split('\n')[1] ?? ''
    await first.cli('CLUSTER', 'MEET', '127.0.0.1', String(node.port), bus)
  }
  await eventually(() => everywhere(nodes, (view) => assert.equal(view.length, nodes.length)), AGREE_MS)
  await Promise.all(
    nodes.slice(MASTERS).map(async (node, i) => {
      const master = masters[i]
      assert.ok(master)
      await node.cli('CLUSTER', 'REPLICATE', await master.cli('CLUSTER', 'MYID'))
      await caughtUp(master, node)
    }),
  )
  await eventually(async () => {
    await everywhere(nodes, (view) => {
      assert.equal(view.filter(({ master }) => master !== '-').length, nodes.length - MASTERS)
    })
    for (const node of nodes) assert.match(await node.cli('CLUSTER', 'INFO'), /cluster_state:ok/)
  }, AGREE_MS)
}

/** A line of `CLUSTER NODES`. */
interface Seen {
  port: number
  flags: string[]
  /** The id of the master; `-` of a master. */
  master: string
  epoch: number
  slots: [from: number, to: number][]
}

async function viewOf(node: TestRedis): Promise<Seen[]> {
  const lines = (await node.cli('CLUSTER', 'NODES')).trim().split('\n')
  return lines.map((line) => {
    const [, address = '', flags = '', master = '', , , epoch = '', , ...slots] = line.split(' ')
    return {
      port: Number(/:(\d+)@/.exec(address)?.[1]),
      flags: flags.split(','),
      master,
      epoch: Number(epoch),
      // `[…]` is a slot on the move
      slots: slots
        .filter((range) => !range.startsWith('['))
        .map((range) => {
          const [from, to = from] = range.split('-')
          return [Number(from), Number(to)]
        }),
    }
  })
}

async function everywhere(nodes: readonly TestRedis[], check: (view: Seen[]) => void): Promise<void> {
  for (const node of nodes) check(await viewOf(node))
}

function clusterOf(nodes: TestRedis[], ourKey: string, owner: AsyncDisposable): TestCluster {
  async function slotOf(key: string): Promise<number> {
    for (const node of nodes) {
      const slot = await node.cli('CLUSTER', 'KEYSLOT', key).catch(() => '')
      if (slot) return Number(slot)
    }
    throw new Error('no node is up')
  }

  /** What each node that is up says of itself. */
  async function selves(): Promise<{ node: TestRedis; self: Seen }[]> {
    const all = await Promise.all(
      nodes.map(async (node) => {
        const view = await viewOf(node).catch(() => [])
        return view.filter(({ flags }) => flags.includes('myself')).map((self) => ({ node, self }))
      }),
    )
    return all.flat()
  }

  async function ownerOf(key: string): Promise<TestRedis> {
    const slot = await slotOf(key)
    // One that comes back still believes that the slot is its own: the later epoch wins.
    const [owner] = (await selves())
      .filter(({ self }) => self.slots.some(([from, to]) => from <= slot && slot <= to))
      .sort((a, b) => b.self.epoch - a.self.epoch)
    if (!owner) throw new Error(`no node that is up has slot ${slot}`)
    return owner.node
  }

  async function replicaOf(key: string): Promise<TestRedis> {
    const id = await (await ownerOf(key)).cli('CLUSTER', 'MYID')
    const replica = (await selves()).find(({ self }) => self.master === id)
    if (!replica) throw new Error(`the master of ${key} has no replica that is up`)
    return replica.node
  }

  return {
    config: { cluster: nodes.map(({ addr }) => addr) },
    nodes,
    ownerOf,
    replicaOf,
    master: () => ownerOf(ourKey),
    async failover(how) {
      const old = await ownerOf(ourKey)
      const next = await replicaOf(ourKey)
      if (how === 'killed') await old.kill()
      const taken = async () => {
        assert.equal((await ownerOf(ourKey)).addr, next.addr)
        assert.match(await next.cli('CLUSTER', 'INFO'), /cluster_state:ok/)
      }
      await eventually(async () => {
        // The masters may refuse it, soon after the last one; nobody is told.
        if (how === 'asked') await next.cli('CLUSTER', 'FAILOVER')
        await eventually(taken, how === 'asked' ? MANUAL_FAILOVER_MS : AGREE_MS)
      }, AGREE_MS)
      return old
    },
    async inSync() {
      // A node that comes back may take a moment to see what it is now.
      await eventually(async () => {
        const all = await selves()
        const replicas = all.filter(({ self }) => self.master !== '-')
        assert.equal(all.length, nodes.length)
        assert.equal(replicas.length, nodes.length - MASTERS)
        for (const { node } of replicas) {
          const { master_port: port } = await infoOf(node, 'replication')
          const master = nodes.find((other) => String(other.port) === port)
          assert.ok(master, `a replica follows port ${port}`)
          await caughtUp(master, node)
        }
      }, AGREE_MS)
    },
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  }
}
