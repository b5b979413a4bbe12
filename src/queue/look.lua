-- Where a job is, of the places where it can be.
-- KEYS[1]  totals
-- ARGV     id, JSON: [[room, group or lane], …], then the reasons to rest
-- Returns  { now, "pending", room, group or lane, when it may start }, { now, "claimed", room, group, when its lease ends },
--          { now, "rest", reason, "", since when } or { now }; times in ms since the epoch
local base = string.match(KEYS[1], "^%b{}:")
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id = ARGV[1]
for _, spot in ipairs(cjson.decode(ARGV[2])) do
  local room, group = unpack(spot)
  local at = redis.call("ZSCORE", base .. room .. ":pending:" .. group, id)
  if at then return { now, "pending", room, group, at } end
  if redis.call("SISMEMBER", base .. room .. ":claimed:" .. group, id) == 1 then
    return { now, "claimed", room, group, redis.call("ZSCORE", base .. room .. ":leases", id) or "0" }
  end
end
for i = 3, #ARGV do
  local since = redis.call("ZSCORE", base .. "rest:" .. ARGV[i], id)
  if since then return { now, "rest", ARGV[i], "", since } end
end
return { now }
