/** What its first job gave a group, as it stands in the room's `:groups`, see lib.lua. */
export interface Entry {
  /** 0: it gave none. */
  limit: number
  rate: number | undefined
  burst: number | undefined
  /** Whether jobs of it wait in the lanes of hosts. */
  lanes: boolean
}

export function parseEntry(entry: string): Entry {
  const [, limit, rate, burst, lanes] = /^(\d+)(?:@([^/]+)\/(\d+))?(\+?) /.exec(entry) ?? []
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text))
  return { limit: Number(limit ?? 0), rate: number(rate), burst: number(burst), lanes: lanes === '+' }
}
