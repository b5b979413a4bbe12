-- Counts the jobs of a room anew, all at one moment.
-- KEYS[1]  room
-- ARGV     "1" to mend
-- Returns  { pending as the room counts, pending, claimed, claims, leases, how many groups count wrongly what is in lanes }
local room = KEYS[1]
local pending, claimed, wrong = 0, 0, 0
local cursor, seen = "0", {}
repeat
  local groups
  cursor, groups = unpack(redis.call("HSCAN", room .. ":groups", cursor, "COUNT", 1000))
  for i = 1, #groups, 2 do
    local group = groups[i]
    if not seen[group] then
      seen[group] = true
      pending = pending + redis.call("ZCARD", room .. ":pending:" .. group)
      local waiting = 0
      for _, host in ipairs(redis.call("ZRANGE", room .. ":lanes:" .. group, 0, -1)) do
        if host ~= "" then waiting = waiting + redis.call("ZCARD", room .. ":pending:" .. group .. "\0" .. host) end
      end
      pending = pending + waiting
      if waiting ~= tonumber(redis.call("HGET", room .. ":waiting", group) or "0") then
        wrong = wrong + 1
        if ARGV[1] == "1" then redis.call("HSET", room .. ":waiting", group, waiting) end
      end
      claimed = claimed + redis.call("SCARD", room .. ":claimed:" .. group)
    end
  end
until cursor == "0"
local counted = tonumber(redis.call("HGET", room, "pending") or "0")
if ARGV[1] == "1" and counted ~= pending then redis.call("HSET", room, "pending", pending) end
return { counted, pending, claimed, redis.call("HLEN", room .. ":claims"), redis.call("ZCARD", room .. ":leases"), wrong }
