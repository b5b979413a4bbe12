import { changeDetector, readText } from './hosts-file.ts'

/** As many as Kubernetes lets a pod have. */
const MOST_DOMAINS = 32

/**
 * The domains in which a name is looked for that does not exist as it stands: `search` of resolv.conf, of which the last
 * one counts, or `domain`.
 *
 * @param path of resolv.conf; it is read again when it changes
 */
export function searchList(path: string): () => readonly string[] {
  const changed = changeDetector(path)
  let domains: string[] = []
  return () => {
    if (changed()) domains = domainsIn(readText(path))
    return domains
  }
}

function domainsIn(text: string): string[] {
  const last = [...text.matchAll(/^(?:search|domain)[ \t]+([^#;\n]+)/gm)].at(-1)
  const names = last?.[1]?.trim().toLowerCase().split(/\s+/) ?? []
  return names
    .map((name) => name.replace(/\.$/, ''))
    .filter(Boolean)
    .slice(0, MOST_DOMAINS)
}
