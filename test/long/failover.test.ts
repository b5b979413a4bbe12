import assert from 'node:assert/strict'
import { account, assertUnharmed, failOver, lineOf, serviceOn, startLoad } from '../support/failover.ts'
import { startOrigin } from '../support/http-origin.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startSentinels } from '../support/sentinel.ts'

const FAILOVERS = 20

describe('failovers in a row under load', () => {
  for (const [place, start] of [
    ['behind Sentinels', startSentinels],
    ['in a Cluster', startCluster],
  ] as const) {
    it(`${place}, killed and asked for by turns, lose nothing that replicas were waited for`, async () => {
      await using set = await start()
      await using origin = await startOrigin()
      await using service = await serviceOn(set, { wait_replicas: 1 })
      const load = startLoad(service, origin)
      await service.receiver.count(30)
      for (let n = 0; n < FAILOVERS; n++) {
        const report = await failOver(set, n % 2 === 0 ? 'killed' : 'asked', service, load)
        console.log(`      ${n + 1}. ${lineOf(report)}`)
        await set.inSync()
      }
      await load.stop()
      const { accepted, lost, calledBackTwice } = await account(set, service, load)
      console.log(`      ${accepted} accepted, ${lost.length} lost, ${calledBackTwice} called back twice`)
      assert.deepEqual(lost, [])
      await assertUnharmed(service, load)
    }).timeout(20 * 60_000)
  }

  it('behind Sentinels that nobody paused the master for lose only what it took meanwhile', async () => {
    await using set = await startSentinels({ pauseMs: 0 })
    await using origin = await startOrigin()
    await using service = await serviceOn(set)
    const load = startLoad(service, origin)
    await service.receiver.count(30)
    const windows: [from: number, to: number][] = []
    for (let n = 0; n < 5; n++) {
      const report = await failOver(set, 'asked', service, load)
      console.log(`      ${n + 1}. ${lineOf(report)}`)
      windows.push([report.beganAt, report.beganAt + report.newMasterMs])
      await set.inSync()
    }
    await load.stop()
    const { accepted, lost, calledBackTwice } = await account(set, service, load)
    console.log(`      ${accepted} accepted, ${lost.length} lost, ${calledBackTwice} called back twice`)
    const elsewhere = lost.filter(({ at, ms }) => !windows.some(([from, to]) => from <= at + ms && at <= to))
    assert.deepEqual(elsewhere, [], 'lost, though accepted while nothing was wrong')
    await assertUnharmed(service, load)
  }).timeout(10 * 60_000)
})
