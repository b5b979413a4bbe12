-- How groups are.
-- KEYS[1]  room
-- ARGV     groups
-- Returns  { now, the room's limit, { pending, running, its entry (nothing: it has no jobs), what the operator set
--          as JSON, held until, when the first of its jobs may start (nothing: none is pending), failed jobs at rest,
--          failed callbacks at rest, jobs of those pending that wait for their host } … }; times in ms since the epoch
local room = KEYS[1]
local reply = { now, redis.call("HGET", room, "limit") or "1" }

-- When the first job of some lane may start: one of a group may have thousands.
local function first_in_lane(group)
  for _, host in ipairs(redis.call("ZRANGE", room .. ":lanes:" .. group, 0, 1)) do
    local first = redis.call("ZRANGE", room .. ":pending:" .. lane_of(group, host), 0, 0, "WITHSCORES")[2]
    if host ~= "" and first then return first end
  end
end

for _, group in ipairs(ARGV) do
  local pending = room .. ":pending:" .. group
  local entry = redis.call("HGET", room .. ":groups", group)
  local count, first = redis.call("ZCARD", pending), redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
  local waiting = tonumber(redis.call("HGET", room .. ":waiting", group) or "0")
  local at = waiting > 0 and first_in_lane(group)
  if at and (not first or tonumber(at) < tonumber(first)) then first = at end
  reply[#reply + 1] = {
    count + waiting,
    redis.call("SCARD", room .. ":claimed:" .. group) - redis.call("SCARD", room .. ":left:" .. group),
    entry,
    redis.call("HGET", room .. ":overrides", group) or "{}",
    redis.call("HGET", room .. ":holds", group) or "0",
    first or false,
    redis.call("ZCARD", prefix .. "rest:failed:of:" .. group),
    redis.call("ZCARD", prefix .. "rest:callback-failed:of:" .. group),
    waiting,
  }
end
return reply
