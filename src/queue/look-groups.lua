-- How groups are.
-- KEYS[1]  room
-- ARGV     groups
-- Returns  { now, the room's limit, { pending, running, "<limit> <gift>" (nothing: it has no jobs), what the operator set
--          as JSON, held until, when the first of its jobs may start (nothing: none is pending), failed jobs at rest,
--          failed callbacks at rest } … }; times in ms since the epoch
local room = KEYS[1]
local base = string.match(room, "^%b{}:")
local time = redis.call("TIME")
local reply = { time[1] * 1000 + math.floor(time[2] / 1000), redis.call("HGET", room, "limit") or "1" }
for _, group in ipairs(ARGV) do
  local pending = room .. ":pending:" .. group
  reply[#reply + 1] = {
    redis.call("ZCARD", pending),
    redis.call("SCARD", room .. ":claimed:" .. group) - redis.call("SCARD", room .. ":left:" .. group),
    redis.call("HGET", room .. ":groups", group),
    redis.call("HGET", room .. ":overrides", group) or "{}",
    redis.call("HGET", room .. ":holds", group) or "0",
    redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2] or false,
    redis.call("ZCARD", base .. "rest:failed:of:" .. group),
    redis.call("ZCARD", base .. "rest:callback-failed:of:" .. group),
  }
end
return reply
