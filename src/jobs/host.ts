/**
 * The host that a URL asks, with its port where one is given: what politeness goes by. It reads the caller's string as
 * src/queue/lanes.lua reads it in the packed request, so that both always agree; `""` where it is no plain URL.
 */
export function hostOf(url: string): string {
  const [, authority = ''] = /^"[a-z][a-z0-9+.-]*:\/\/([^/?#\\"]*)/i.exec(JSON.stringify(url)) ?? []
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  return host.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
