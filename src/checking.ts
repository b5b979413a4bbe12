import type { Log } from './log.ts'
import { printable } from './printable.ts'
import type { Books } from './queue/books.ts'
import { checkQueue, type Finding } from './queue/check/check.ts'
import { keysOf } from './queue/keys.ts'
import { connect, persistently, RedisUnavailable } from './queue/redis.ts'
import type { RedisConfig } from './queue/redis-config.ts'

const CONNECT_MS = 10_000
/** More is only counted. */
const MAX_TOLD = 1000

/**
 * `downloader check`: tells everything that is wrong with what a deployment holds in Redis, and its books.
 *
 * @param print takes a line of text
 * @returns whether all is well, at least after the repair
 * @throws {RedisUnavailable} when Redis does not answer within ten seconds
 */
export async function checking(
  config: RedisConfig,
  repair: boolean,
  print: (line: string) => void,
  log: Log,
): Promise<boolean> {
  const redis = connect(config, 'patient', log)
  const keys = keysOf(config.key_prefix)
  try {
    await persistently(() => redis.ping(), AbortSignal.timeout(CONNECT_MS), log).catch((cause: unknown) => {
      throw new RedisUnavailable('Redis does not answer', { cause })
    })
    let wrong = await walk(repair)
    if (wrong > 0 && repair) {
      print(`\nMended what can be mended; looking again.\n`)
      wrong = await walk(false)
    }
    print(
      wrong === 0 ? '\nAll jobs are accounted for.' : `\n${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong.`,
    )
    if (wrong > 0 && !repair) print('Look at it first; `downloader check --repair` mends what can be mended.')
    return wrong === 0
  } finally {
    redis.disconnect()
  }

  async function walk(mend: boolean): Promise<number> {
    const told = new Set<string>()
    let more = 0
    const onFinding = ({ key, what }: Finding) => {
      const line = printable(`${key}: ${what}`)
      if (told.has(line)) return
      if (told.size >= MAX_TOLD) return void more++
      told.add(line)
      print(line)
    }
    const books = await checkQueue(redis, keys, { mend, onFinding })
    if (more > 0) print(`… and ${more} more`)
    if (told.size > 0) print('')
    for (const line of table(books)) print(line)
    return told.size + more
  }
}

function table({ accepted, gone, rooms, rest }: Books): string[] {
  const rows: [string, number][] = [['accepted', accepted]]
  for (const { room, pending, claimed } of rooms) {
    rows.push([`pending in ${room}`, pending], [`claimed in ${room}`, claimed])
  }
  for (const [reason, count] of Object.entries(rest)) rows.push([`at rest: ${reason}`, count])
  rows.push(['gone', gone])
  const width = Math.max(...rows.map(([name]) => name.length))
  const digits = Math.max(...rows.map(([, count]) => String(count).length))
  return rows.map(([name, count]) => `${name.padEnd(width)}  ${String(count).padStart(digits)}`)
}
