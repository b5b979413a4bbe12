import os from 'node:os'
import { changeDetector, readText } from './hosts-file.ts'

/** Which names a source of nsswitch.conf may know that neither `/etc/hosts` nor DNS does. */
type Knows = (name: string) => boolean

const nothing: Knows = () => false
const anything: Knows = () => true
const isSingleLabel: Knows = (name) => !name.includes('.')
const isMulticast: Knows = (name) => /(^|\.)local$/.test(name)

const sources: Record<string, Knows> = {
  files: nothing,
  dns: nothing,
  mdns_minimal: isMulticast,
  mdns4_minimal: isMulticast,
  mdns6_minimal: isMulticast,
  myhostname: (name) => isSingleLabel(name) || name === os.hostname().toLowerCase(),
  mymachines: isSingleLabel,
}

/** Names that no server of a stranger is ever asked about: a single label, and what mDNS has (RFC 6762). */
export const isLocal: Knows = (name) => isSingleLabel(name) || isMulticast(name)

/**
 * Whether getaddrinfo may know a name that `/etc/hosts` and DNS do not: nsswitch.conf says where it looks beside them.
 * Without that file, as with musl, it looks nowhere else; on systems other than Linux that cannot be told.
 *
 * @param path of nsswitch.conf; it is read again when it changes
 */
export function systemNames(path: string): Knows {
  if (process.platform !== 'linux') return anything
  const changed = changeDetector(path)
  let knowers: Knows[] = []
  return (name) => {
    if (changed()) knowers = knowersIn(path)
    return knowers.some((knows) => knows(name))
  }
}

function knowersIn(path: string): Knows[] {
  const [, line = ''] = /^[ \t]*hosts:([^#\n]*)/m.exec(readText(path)) ?? []
  const names = line.replace(/\[[^\]]*\]/g, ' ').split(/\s+/)
  return names.filter(Boolean).map((source) => (Object.hasOwn(sources, source) && sources[source]) || anything)
}
