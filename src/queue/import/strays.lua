-- What is known of jobs that stand in no queue: somebody works on them, or did when it died, or they are at rest.
-- KEYS     CallbackQueue, JobDeletionQueue, and where jobs stand that were taken out of a queue
-- ARGV     ids
-- Returns  a row (lib.lua, its score "") of each that stands in no queue.
local function stands_in(queue, id)
  return redis.pcall("ZSCORE", queue, id) -- a queue of another type: not ours to judge
end
local function queued(id, aggr)
  for _, queue in ipairs(KEYS) do
    if stands_in(queue, id) then return true end
  end
  return stands_in("jobs:" .. aggr, id)
end

local rows = {}
for _, id in ipairs(ARGV) do
  local found, aggr = row(id, "")
  if #found[3] > 0 and not queued(id, aggr) then rows[#rows + 1] = found end
end
return rows
