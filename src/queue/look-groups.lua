-- How groups are.
-- KEYS[1]  room
-- ARGV     groups
-- Returns  { now, the room's limit, { pending, running, its entry (nothing: it has no jobs), what the operator set
--          as JSON, held until, when the first of its jobs may start (nothing: none is pending), failed jobs at rest,
--          failed callbacks at rest, jobs of those pending that wait for their host } … }; times in ms since the epoch
local room = KEYS[1]
local reply = { now, redis.call("HGET", room, "limit") or "1" }

-- Of the lanes of a group: how many jobs, and when the first may start.
local function in_lanes(group)
  local count, first = 0, nil
  for _, host in ipairs(redis.call("ZRANGE", room .. ":lanes:" .. group, 0, -1)) do
    if host ~= "" then
      local pending = room .. ":pending:" .. lane_of(group, host)
      local at = redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
      count = count + redis.call("ZCARD", pending)
      if at and (not first or tonumber(at) < tonumber(first)) then first = at end
    end
  end
  return count, first
end

for _, group in ipairs(ARGV) do
  local pending = room .. ":pending:" .. group
  local entry = redis.call("HGET", room .. ":groups", group)
  local count, first = redis.call("ZCARD", pending), redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
  local waiting, at = 0, nil
  if entry and string.find(entry, "^[^ ]*%+ ") then waiting, at = in_lanes(group) end
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
