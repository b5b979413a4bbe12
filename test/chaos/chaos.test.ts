import assert from 'node:assert/strict'
import { cutNetwork, flushScripts, freeze, kill, killRedis } from './faults.ts'
import { play } from './play.ts'
import { type Scenario, scenarios } from './scenarios.ts'

/** A short one of what `npm run chaos` does for minutes. */
describe('the service, while things break', () => {
  it('loses nothing, passes no limit, leaves nothing behind', async () => {
    const { mix } = scenarios
    assert.ok(mix)
    const short: Scenario = {
      ...mix,
      faults: [
        kill('processor'),
        kill('notifier'),
        kill('api'),
        freeze('processor', true),
        killRedis,
        cutNetwork,
        flushScripts,
      ],
    }
    const row = await play(short, { seconds: 15, seed: 7, say: () => {} })
    assert.deepEqual(row.broken, [])
    assert.ok(row.accepted > 200, `${row.accepted} jobs`)
  }).timeout(120_000)
})
