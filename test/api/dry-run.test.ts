import assert from 'node:assert/strict'
import { dryRun } from '../../src/api/dry-run.ts'
import { Problem } from '../../src/api/problems.ts'
import { addressGuard } from '../../src/net/address-guard.ts'
import { resolver } from '../../src/net/resolver.ts'
import { startDns } from '../net/dns-server.ts'

describe('dry runs', () => {
  it('look up the names of 32 requests at once, and refuse more until one of them has ended', async () => {
    let isSilent = true
    await using dns = await startDns(() => (isSilent ? undefined : { addresses: ['93.184.216.34'] }))
    const options = { servers: [dns.address], hostsFile: '/dev/null', systemLookup: async () => [] }
    const names = resolver({ ...options, timeoutMs: 300 })
    const guards = { downloads: addressGuard('downloads', []), callbacks: addressGuard('callbacks', []) }
    const rehearse = dryRun({ backends: [], guards, resolver: names })
    let n = 0
    const one = () => rehearse({ aggr_id: 'a', aggr_limit: 1, url: `http://${n++}.test/`, callback_type: 'none' })
    try {
      const first = Array.from({ length: 32 }, one)
      await assert.rejects(one(), (error) => {
        return error instanceof Problem && error.status === 503 && error.headers['Retry-After'] === '2'
      })
      for (const { would_be_accepted, destinations } of await Promise.all(first)) {
        assert.equal(would_be_accepted, true)
        assert.match(destinations.url?.note ?? '', /^DNS did not answer/)
      }
      isSilent = false
      const verdicts = await Promise.all(Array.from({ length: 32 }, one))
      assert.ok(verdicts.every(({ destinations }) => destinations.url?.addresses.length === 1))
    } finally {
      names.close()
    }
  })
})
