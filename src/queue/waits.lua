-- Since when the first job waits that could start, of some groups; of paused ones none does.
-- KEYS[1]  room
-- ARGV     groups
-- Returns  { now, place in the queue of the job that waits longest, or nothing }
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local longest
for _, group in ipairs(ARGV) do
  local first = redis.call("ZRANGE", KEYS[1] .. ":pending:" .. group, 0, 0, "WITHSCORES")[2]
  if first and tonumber(first) <= now and (not longest or tonumber(first) < tonumber(longest)) then
    local set = redis.call("HGET", KEYS[1] .. ":overrides", group)
    if not (set and cjson.decode(set).paused) then longest = first end
  end
end
return { now, longest or false }
