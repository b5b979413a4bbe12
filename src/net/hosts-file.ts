import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'

/** How often a look at the file is worth it. */
const checkMs = 1000

/**
 * The names of `/etc/hosts`, read again when the file changes. It is looked at synchronously, at most once a second:
 * asynchronous file calls would queue behind the fsyncs of the thread pool.
 *
 * @returns a function that gives the addresses of a name in lower case; none when the file does not know it
 */
export function hostsFile(path: string): (name: string) => readonly string[] {
  const changed = changeDetector(path)
  let names = new Map<string, string[]>()
  return (name) => {
    if (changed()) names = parseHosts(readText(path))
    return names.get(name) ?? []
  }
}

/** @returns a function that says whether the file has changed since it was last asked; true the first time */
export function changeDetector(path: string): () => boolean {
  let checkedAt = Number.NEGATIVE_INFINITY
  let seen: string | undefined
  return () => {
    const now = performance.now()
    if (now - checkedAt < checkMs) return false
    checkedAt = now
    const version = versionOf(path)
    if (version === seen) return false
    seen = version
    return true
  }
}

function versionOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path)
    return `${ino} ${size} ${mtimeMs}`
  } catch {
    return ''
  }
}

/** What a small file says; nothing when it is not there, or not for us. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function parseHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const name of names) {
      const key = name.toLowerCase()
      const known = hosts.get(key)
      if (known === undefined) hosts.set(key, [address])
      else if (!known.includes(address)) known.push(address)
    }
  }
  return hosts
}
