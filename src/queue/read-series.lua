-- What series.lua kept.
-- KEYS[1]  series
-- ARGV     "points" or "failures", step in ms, how many of them until now
-- Returns  { now, { time of the bucket, { field, value … } } … }, oldest first; empty buckets are left out
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local step = tonumber(ARGV[2])
local last = math.floor(now / step) * step
local reply = { now }
for i = ARGV[3] - 1, 0, -1 do
  local at = last - i * step
  local name = ARGV[1] == "points" and string.format("%d", step / 1000) or "failures"
  local fields = redis.call("HGETALL", string.format("%s:%s:%.0f", KEYS[1], name, at))
  if #fields > 0 then reply[#reply + 1] = { at, fields } end
end
return reply
