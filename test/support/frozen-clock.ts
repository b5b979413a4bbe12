import type { Client } from '../../src/queue/redis.ts'
import { scripts } from '../../src/queue/scripts.ts'

/** Redis's clock as the scripts of one client read it: it stands still until it is told to go on. */
export interface FrozenClock {
  /** ms since the epoch */
  readonly now: number
  advance(ms: number): Promise<void>
  /** From here on the scripts believe to run on another server: what they see after a restart or a failover. */
  changeServer(): Promise<void>
  /** The channels that were rung since the last call. */
  rung(): Promise<string[]>
}

/** Any moment will do, as long as no test depends on it. */
const START_MS = 1_700_000_000_123

/**
 * In front of every script: the same commands, but for the time, what expires by it, and the server's run id. A bell is
 * rung as ever, and noted.
 */
const shim = (key: string) => `
local server = redis
local redis = setmetatable({}, { __index = server })
function redis.call(command, ...)
  if command == 'TIME' then return server.call('HMGET', '${key}', 's', 'us') end
  if command == 'PUBLISH' then server.call('RPUSH', '${key}:rung', (...)) end
  local name, value, option, ms = ...
  if command == 'SET' and option == 'PX' then
    local time = redis.call('TIME')
    server.call('ZADD', '${key}:expiries', time[1] * 1000 + math.floor(time[2] / 1000) + ms, name)
    return server.call('SET', name, value, 'PX', ms * 1000) -- its end comes by this clock, not by the server's
  end
  return server.call(command, ...)
end
function redis.pcall(command, ...)
  if command == 'INFO' then return 'run_id:' .. server.call('HGET', '${key}', 'run') end
  return server.pcall(command, ...)
end
`

const ADVANCE = `
redis.call('HSET', KEYS[1], 's', ARGV[1], 'us', ARGV[2])
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1] .. ':expiries', '-inf', ARGV[3])) do
  redis.call('DEL', name)
  redis.call('ZREM', KEYS[1] .. ':expiries', name)
end`

/**
 * Freezes the clock for everything that `redis` runs from here on. So every step of a test happens at a moment that the
 * test knows to the millisecond, and a seed leads to the same history every time.
 */
export async function freezeClock(redis: Client): Promise<FrozenClock> {
  const key = 'frozen-clock'
  for (const [name, script] of Object.entries(scripts)) {
    redis.defineCommand(name, { ...script, lua: shim(key) + script.lua })
  }
  let now = START_MS
  let servers = 0
  const set = () => redis.eval(ADVANCE, 1, key, Math.floor(now / 1000), (now % 1000) * 1000, now)
  const changeServer = async () => void (await redis.hset(key, 'run', `server${++servers}`))
  await Promise.all([set(), changeServer()])
  return {
    get now() {
      return now
    },
    async advance(ms) {
      now += ms
      await set()
    },
    changeServer,
    async rung() {
      const reply = await redis.multi().lrange(`${key}:rung`, 0, -1).del(`${key}:rung`).exec()
      return (reply?.[0]?.[1] ?? []) as string[]
    },
  }
}
