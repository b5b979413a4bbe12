-- Adds up what a process counted, by time: minutes are kept for two hours, ten minutes for a day and a bit. What failed is
-- kept by code and host for each ten minutes; hosts beyond MOST are counted under none.
-- KEYS[1]  series
-- ARGV     number of counters, their names and numbers (`max_…`: the highest is kept), then for each kind of failure:
--          "<d|c> <code>", host, number
local MOST = 300
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local base = string.match(KEYS[1], "^%b{}:")

local function sum(key) return tonumber(redis.call("HGET", key, "pending") or "0") end
local pending, calls = sum(base .. "downloads"), 0
for _, name in ipairs(redis.call("SMEMBERS", base .. "rooms")) do
  if string.find(name, "^callbacks:") then calls = calls + sum(base .. name) end
end

for _, kept in ipairs({ { 60000, 7200000 }, { 600000, 90000000 } }) do
  local step, ttl = unpack(kept)
  local bucket = string.format("%s:%d:%.0f", KEYS[1], step / 1000, math.floor(now / step) * step)
  for i = 2, 1 + 2 * ARGV[1], 2 do
    local name, number = ARGV[i], ARGV[i + 1]
    if string.find(name, "^max_") then
      if tonumber(redis.call("HGET", bucket, name) or "0") < tonumber(number) then
        redis.call("HSET", bucket, name, number)
      end
    else
      redis.call("HINCRBY", bucket, name, number)
    end
  end
  redis.call("HSET", bucket, "pending", pending, "callbacks_pending", calls)
  redis.call("PEXPIRE", bucket, ttl)
end

local failed = 2 + 2 * ARGV[1]
if ARGV[failed] then
  local key = string.format("%s:failures:%.0f", KEYS[1], math.floor(now / 600000) * 600000)
  local size = redis.call("HLEN", key)
  for i = failed, #ARGV, 3 do
    local field = ARGV[i] .. " " .. ARGV[i + 1]
    if size >= MOST and redis.call("HEXISTS", key, field) == 0 then field = ARGV[i] .. " " end
    size = size + (redis.call("HINCRBY", key, field, ARGV[i + 2]) == tonumber(ARGV[i + 2]) and 1 or 0)
  end
  redis.call("PEXPIRE", key, 90000000)
end
return 1
