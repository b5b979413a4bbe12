/** What its first job gave a group, as it stands in the room's `:groups`, see lib.lua. */
export interface Entry {
  /** 0: it gave none. */
  limit: number
  rate: number | undefined
  /** Whether jobs of it wait in the lanes of hosts. */
  lanes: boolean
}

export function parseEntry(entry: string): Entry {
  const [, limit = '0', rate, lanes] = /^(\d+)(?:@([^/]+)\/\d+)?(\+?) /.exec(entry) ?? []
  return { limit: Number(limit), rate: rate === undefined ? undefined : Number(rate), lanes: lanes === '+' }
}
