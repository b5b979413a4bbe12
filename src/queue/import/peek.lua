-- What is known of jobs that stand in a queue. Changes nothing.
-- KEYS[1]  queue
-- ARGV     ids
-- Returns  a row (lib.lua) of each that stands there.
local rows = {}
for _, id in ipairs(ARGV) do
  local score = redis.call("ZSCORE", KEYS[1], id)
  if score then rows[#rows + 1] = row(id, score) end
end
return rows
