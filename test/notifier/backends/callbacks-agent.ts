import type { Agent } from 'undici'
import { addressGuard } from '../../../src/net/address-guard.ts'
import { guardedAgent } from '../../../src/net/agent.ts'
import { resolver } from '../../../src/net/resolver.ts'

/** The dispatcher that a notifier makes for its backends. */
export function callbacksAgent(ca?: string): Agent {
  const guard = addressGuard('callbacks', [])
  return guardedAgent({ guard, resolver: resolver(), connectTimeoutMs: 5000, ca })
}
