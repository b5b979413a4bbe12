import assert from 'node:assert/strict'
import { account, assertUnharmed, failOver, serviceOn, startLoad } from '../support/failover.ts'
import { startOrigin } from '../support/http-origin.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startSentinels } from '../support/sentinel.ts'

describe('a master that is killed under load', () => {
  for (const [place, start] of [
    ['behind Sentinels', startSentinels],
    ['in a Cluster', startCluster],
  ] as const) {
    it(`${place} stops no process, lets no job stick, passes no limit, and loses nothing that replicas were waited for`, async () => {
      await using set = await start()
      await using origin = await startOrigin()
      await using service = await serviceOn(set, { wait_replicas: 1 })
      const load = startLoad(service, origin)
      await service.receiver.count(30)
      const { refused, slowestPostMs } = await failOver(set, 'killed', service, load)
      await load.stop()
      const { lost } = await account(set, service, load)
      assert.deepEqual(lost, [])
      assert.ok(refused > 0, 'somebody posted while there was no master')
      assert.ok(slowestPostMs < 2500, `a POST took ${slowestPostMs} ms`)
      await assertUnharmed(service, load)
    }).timeout(60_000)
  }
})
