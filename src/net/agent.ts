import { Agent } from 'undici'
import { type ConnectorOptions, guardedConnector } from './connector.ts'

export interface GuardedAgentOptions extends ConnectorOptions {
  /** 0 means none; undici's own clock ticks once a second. */
  headersTimeoutMs?: number
  /** Longest time without a byte of body; 0 means none. */
  bodyTimeoutMs?: number
}

/**
 * An undici dispatcher that connects only where the guard lets it; its failures to connect are those of
 * `guardedConnector`. Whoever makes it closes it.
 */
export function guardedAgent({ headersTimeoutMs, bodyTimeoutMs, ...connector }: GuardedAgentOptions): Agent {
  return new Agent({
    connect: guardedConnector(connector),
    keepAliveMaxTimeout: 10_000,
    ...(headersTimeoutMs === undefined ? {} : { headersTimeout: headersTimeoutMs }),
    ...(bodyTimeoutMs === undefined ? {} : { bodyTimeout: bodyTimeoutMs }),
  })
}
