-- For how long the first jobs of the rooms wait that could start now: for a worker, not for their group's limit.
-- KEYS[1]  totals
-- ARGV[1]  how many groups of a room are looked at: those whose turn is next
-- Returns  { room, ms (0: none waits), room, ms, … }
local base = string.match(KEYS[1], "^%b{}:")
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = {}
for _, name in ipairs(redis.call("SMEMBERS", base .. "rooms")) do
  local room = base .. name
  local longest = 0
  local function look(groups)
    for _, group in ipairs(groups) do
      local first = redis.call("ZRANGE", room .. ":pending:" .. group, 0, 0, "WITHSCORES")[2]
      -- a priority moves a job ahead by a multiple of 1e11 ms, see add.lua
      if first and tonumber(first) <= now then longest = math.max(longest, (now - tonumber(first)) % 1e11) end
    end
  end
  look(redis.call("ZRANGE", room .. ":line", 0, ARGV[1] - 1))
  look(redis.call("ZRANGEBYSCORE", room .. ":due", "-inf", now, "LIMIT", 0, ARGV[1]))
  reply[#reply + 1] = name
  reply[#reply + 1] = math.floor(longest)
end
return reply
