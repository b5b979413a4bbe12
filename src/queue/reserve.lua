-- Spreads jobs over time: gives out the next free stretch of it.
-- KEYS[1]  until when time was given out, ms since the epoch
-- ARGV     for how many ms
-- Returns  after how many ms the stretch begins.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local free = math.max(now, tonumber(redis.call("GET", KEYS[1]) or "0"))
local wanted = math.ceil(tonumber(ARGV[1]))
redis.call("SET", KEYS[1], string.format("%.0f", free + wanted), "PX", free + wanted - now + 1)
return free - now
