-- A job, and where it is, of the places where it can be; both at the same moment.
-- KEYS[1]  totals
-- ARGV     id, JSON: [[room, group or lane], …], then the reasons to rest
-- Returns  { now, request or nothing, { state … }, then "pending", room, group or lane, when it may start, or "claimed",
--          room, group, when its lease ends, or "rest", reason, "", since when, or nothing }; times in ms since the epoch
local base = string.match(KEYS[1], "^%b{}:")
local time = redis.call("TIME")
local id = ARGV[1]
local reply = {
  time[1] * 1000 + math.floor(time[2] / 1000),
  redis.call("GET", base .. "request:" .. id),
  redis.call("HGETALL", base .. "state:" .. id),
}
local function found(kind, name, group, at)
  reply[4], reply[5], reply[6], reply[7] = kind, name, group, at
  return reply
end

for _, spot in ipairs(cjson.decode(ARGV[2])) do
  local room, group = unpack(spot)
  local at = redis.call("ZSCORE", base .. room .. ":pending:" .. group, id)
  if at then return found("pending", room, group, at) end
  if redis.call("SISMEMBER", base .. room .. ":claimed:" .. group, id) == 1 then
    return found("claimed", room, group, redis.call("ZSCORE", base .. room .. ":leases", id) or "0")
  end
end
for i = 3, #ARGV do
  local since = redis.call("ZSCORE", base .. "rest:" .. ARGV[i], id)
  if since then return found("rest", ARGV[i], "", since) end
end
return reply
