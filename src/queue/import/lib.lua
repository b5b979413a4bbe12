-- What the scripts share that read the Redis of the Go service; put in front of each of them. Its keys:
--   jobs:<aggr_id>    zset   ids of jobs to be downloaded: not before, in Unix seconds
--   CallbackQueue     zset   ids of jobs to be called back: the same
--   JobDeletionQueue  zset   ids of delivered jobs, whose hash is gone and whose file is to be deleted: the same
--   job:<id>          hash   a job
--   aggr:<aggr_id>    hash   an aggregation: Limit, Proxy; goes when the last of its jobs is taken out of its queue
-- Beside them, while jobs are on their way to us:
--   downloader-import:<kind>        zset  ids that were taken out of a queue: their score there
--   downloader-import:aggregations  hash  aggr_id: "<limit> <proxy>", of those whose jobs were taken
local kept = "downloader-import:aggregations"

local function aggregation_of(aggr)
  local limit, proxy = unpack(redis.call("HMGET", "aggr:" .. aggr, "Limit", "Proxy"))
  if limit then return limit .. " " .. (proxy or "") end
  return redis.call("HGET", kept, aggr) or ""
end

-- { id, score, { field, value … }, "<limit> <proxy>" or "" }, and the aggregation's id
local function row(id, score)
  local fields = redis.pcall("HGETALL", "job:" .. id)
  if fields.err then fields = {} end
  local aggr = ""
  for i = 1, #fields, 2 do
    if fields[i] == "AggrID" then aggr = fields[i + 1] end
  end
  return { id, score, fields, aggregation_of(aggr) }, aggr
end
