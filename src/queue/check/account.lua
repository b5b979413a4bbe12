-- The books of a deployment at one moment: accepted = pending + claimed + at rest + gone.
-- KEYS[1]  totals
-- ARGV     the reasons to rest
-- Returns  { accepted, gone, { room, pending, claimed, room, … }, { reason, number, … }, hosts watched, breakers open }
local base = string.match(KEYS[1], "^%b{}:")
local totals = redis.call("HMGET", KEYS[1], "accepted", "gone")
local rooms, rest = {}, {}
local watched, open = 0, 0
for _, name in ipairs(redis.call("SMEMBERS", base .. "rooms")) do
  local room = base .. name
  rooms[#rooms + 1] = name
  rooms[#rooms + 1] = tonumber(redis.call("HGET", room, "pending") or "0")
  rooms[#rooms + 1] = redis.call("HLEN", room .. ":claims")
  watched = watched + redis.call("ZCARD", room .. ":hosts")
  open = open + redis.call("ZCARD", room .. ":open")
end
for _, reason in ipairs(ARGV) do
  rest[#rest + 1] = reason
  rest[#rest + 1] = redis.call("ZCARD", base .. "rest:" .. reason)
end
return { tonumber(totals[1] or "0"), tonumber(totals[2] or "0"), rooms, rest, watched, open }
