import type { AddressGuard } from './net/address-guard.ts'
import { type Explanation, explainUrl } from './net/explain.ts'
import { resolver } from './net/resolver.ts'
import { printable } from './printable.ts'

/**
 * `downloader explain-url`: prints what the guard says of a URL.
 *
 * @param print takes a line of text
 * @returns whether a connection would be made: it is not refused, and there is an address to connect to
 */
export async function explaining(
  url: string,
  guard: AddressGuard,
  lookUpMs: number,
  print: (line: string) => void,
): Promise<boolean> {
  const names = resolver({ timeoutMs: lookUpMs })
  try {
    const explanation = await explainUrl(url, guard, names)
    for (const line of lines(explanation, guard)) print(printable(line))
    return explanation.allowed && explanation.note === ''
  } finally {
    names.close()
  }
}

const EXEMPT = 'What is yours is exempt by allow_networks and allow_ports of the configuration.'

function lines({ scheme, host, port, addresses, allowed, reasons, note }: Explanation, guard: AddressGuard): string[] {
  const why = guard.portRefusal(port)
  const rows = [
    ['scheme', scheme, ''],
    ['host', host, note],
    ['port', port > 0 ? String(port) : '', why ? `refused: ${why}` : ''],
    ...addresses.map(({ address, reason }) => ['address', address, reason ? `refused: ${reason}` : 'allowed']),
  ]
  const width = Math.max(...rows.map(([, value = '']) => value.length))
  const table = rows
    .filter(([, value]) => value)
    .map(([name = '', value = '', verdict = '']) => `${name.padEnd(8)} ${value.padEnd(width)}  ${verdict}`.trimEnd())
  const isExemptible = (port > 0 && why !== undefined) || addresses.some(({ allowed }) => !allowed)
  const verdict = [...reasons.map((reason) => `Blocked: ${reason}.`), ...(isExemptible ? [EXEMPT] : [])]
  return [
    ...table,
    '',
    ...(allowed ? [note ? 'Not blocked, but there is no address to connect to.' : 'Allowed.'] : verdict),
  ]
}
