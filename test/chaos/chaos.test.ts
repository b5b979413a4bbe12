import assert from 'node:assert/strict'
import { runScenario } from './scenario.ts'
import { short } from './scenarios.ts'
import { LEASE_MS } from './settings.ts'

/** A short run of what `npm run chaos` does for minutes; docs/fault-report.md says what is counted. */
describe('the service, while everything around it breaks', () => {
  it('loses no job, passes no limit, leaves nothing behind and works again at once', async () => {
    const said: string[] = []
    const options = { seed: 'npm test', durationMs: 12_000, say: (text: string) => void said.push(text) }
    const { account, injected } = await runScenario(short, options)
    const { accepted, lost, twice, inFlight, peaks, partial, temporary, recoveryMs, broken } = account
    assert.deepEqual(broken, [], said.join('\n'))
    assert.deepEqual(
      new Set(injected.map(({ fault }) => fault)),
      new Set(short.faults),
      'every kind of fault was injected',
    )
    assert.ok(accepted > 200, `${accepted} jobs are too few to tell anything`)
    assert.deepEqual({ lost, partial, temporary }, { lost: 0, partial: 0, temporary: 0 })
    assert.ok(twice <= inFlight, `${twice} came again, ${inFlight} were in flight`)
    assert.ok((recoveryMs ?? 0) <= LEASE_MS + 5000, `it took ${recoveryMs} ms to recover`)
    for (const { group, counted, limit } of peaks) assert.ok(counted <= limit, `${group}: ${counted} of ${limit}`)
    assert.ok(
      peaks.some(({ counted, limit }) => limit > 1 && counted === limit),
      'limits were reached',
    )
  }).timeout(120_000)
})
