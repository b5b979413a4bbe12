import type { AddressGuard } from './address-guard.ts'
import { addressRefusal, portOf, portRefusal, urlRefusal } from './refusals.ts'
import type { Resolver } from './resolver.ts'

/** What the guard says of a URL now, as this host resolves names; the next answer of DNS may be another. */
export interface Explanation {
  /** Nothing is known that would refuse a connection. */
  allowed: boolean
  scheme: string
  host: string
  /** 0 where there is none. */
  port: number
  /** Every address that a connection might go to; none where a name was not looked up. */
  addresses: { address: string; allowed: boolean; reason: string }[]
  /** Why no connection would be made; none when it is allowed. */
  reasons: string[]
  /** Why there are no addresses: a name that cannot be resolved is no refusal. */
  note: string
}

/**
 * Judges a URL as it would be judged by whoever connects, without connecting. Looking a name up takes as long as the
 * resolver lets it.
 *
 * @param resolver absent where a proxy connects: it looks the name up itself
 */
export async function explainUrl(
  text: string,
  guard: AddressGuard,
  resolver: Resolver | undefined,
): Promise<Explanation> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined) return refused({ scheme: '', host: '', port: 0 }, 'it is not a valid URL')
  const scheme = url.protocol.slice(0, -1)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  if (!/^https?$/.test(scheme)) {
    return refused({ scheme, host, port: Number(url.port) }, `refused scheme: ${scheme} is neither http nor https`)
  }
  const target = { scheme, host, port: portOf(url) }
  if (resolver === undefined) return refused(target, urlRefusal(guard, url)?.message, BY_PROXY)

  const { found, note } = await resolver.resolve(host).then(
    (found) => ({ found, note: '' }),
    (error: unknown) => ({ found: [], note: error instanceof Error ? error.message : String(error) }),
  )
  const addresses = found.map(({ address }) => {
    const reason = guard.refusal(address) ?? ''
    return { address, allowed: reason === '', reason }
  })
  const refusals = [portRefusal(guard, url), ...addresses.map(({ address }) => addressRefusal(guard, host, [address]))]
  const reasons = refusals.flatMap((refusal) => refusal?.message ?? [])
  return { allowed: reasons.length === 0, ...target, addresses, reasons, note }
}

const BY_PROXY = 'the proxy looks the name up'

function refused(
  target: Pick<Explanation, 'scheme' | 'host' | 'port'>,
  reason: string | undefined,
  note = '',
): Explanation {
  const reasons = reason === undefined ? [] : [reason]
  return { allowed: reasons.length === 0, ...target, addresses: [], reasons, note }
}
