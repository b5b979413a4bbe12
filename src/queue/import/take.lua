-- Takes jobs out of a queue, so that the Go service never sees them again. Repeated, it is answered as it was.
-- KEYS[1]  queue
-- KEYS[2]  where they stand until they are ours
-- ARGV     ids
-- Returns  a row (lib.lua) of each that stands there now; the Go service has taken the others itself.
for _, id in ipairs(ARGV) do
  local score = redis.call("ZSCORE", KEYS[1], id)
  if score then
    redis.call("ZREM", KEYS[1], id)
    redis.call("ZADD", KEYS[2], score, id)
  end
end
local rows = {}
for _, id in ipairs(ARGV) do
  local score = redis.call("ZSCORE", KEYS[2], id)
  if score then
    local found, aggr = row(id, score)
    if found[4] ~= "" then redis.call("HSET", kept, aggr, found[4]) end
    rows[#rows + 1] = found
  end
end
return rows
