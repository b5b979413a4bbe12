-- The records of jobs, as long as they are where they were found.
-- KEYS     of each job the sorted set that it was found in
-- ARGV     the ids
-- Returns  { { its score there, request or nothing, { state … } }, or nothing when it is not there any more … }
local base = string.match(KEYS[1], "^%b{}:")
local reply = {}
for i, id in ipairs(ARGV) do
  local score = redis.call("ZSCORE", KEYS[i], id)
  reply[i] = score
    and { score, redis.call("GET", base .. "request:" .. id), redis.call("HGETALL", base .. "state:" .. id) }
end
return reply
