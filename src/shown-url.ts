// What of a URL logs, counters and people may see.

/** A URL as it may be logged or shown: no user, no password, no fragment, and no query unless that is asked for. */
export function redactedUrl(text: string, withQuery = false): string {
  try {
    const url = new URL(text)
    return `${url.protocol}//${url.host}${url.pathname}${withQuery ? url.search : url.search ? '?…' : ''}`
  } catch {
    return '(not a URL)'
  }
}

/** The host of a URL, with its port where that is not the usual one: as logs and counters name it. `""` where it is none. */
export const hostNamed = (url: string): string => (URL.canParse(url) ? new URL(url).host : '')
