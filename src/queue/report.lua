-- Notes what a live process reports, and forgets the processes that stopped reporting.
-- KEYS[1]  instances  zset: instance, until when its report counts, ms since the epoch
-- KEYS[2]  reports    hash: instance, JSON
-- ARGV     [instance, JSON, ttlMs]  (none: only look)
-- Returns  the JSON of every live instance.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, gone in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", now)) do
  redis.call("ZREM", KEYS[1], gone)
  redis.call("HDEL", KEYS[2], gone)
end
if ARGV[1] then
  redis.call("ZADD", KEYS[1], now + ARGV[3], ARGV[1])
  redis.call("HSET", KEYS[2], ARGV[1], ARGV[2])
end
return redis.call("HVALS", KEYS[2])
