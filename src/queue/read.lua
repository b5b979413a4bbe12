-- The records of jobs.
-- KEYS[1]  totals
-- ARGV     ids
-- Returns  { { request or nothing, { state … } } … }
local base = string.match(KEYS[1], "^%b{}:")
local reply = {}
for i, id in ipairs(ARGV) do
  reply[i] = { redis.call("GET", base .. "request:" .. id), redis.call("HGETALL", base .. "state:" .. id) }
end
return reply
