-- Some of the jobs that are in all of several sorted sets, in the order of their scores.
-- KEYS     the sets
-- ARGV     "asc" or "desc", the lowest and the highest score, how many, score and id of the last one before ("", "": none)
-- Returns  { score and id to go on after ("", "": that was all), id, score, id, score, … }
-- Looks at no more than 1,000: a page may have fewer than asked for, and still not be the last.
local MOST, STEP = 1000, 100
local descending = ARGV[1] == "desc"
local low, high, count = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local after, last = tonumber(ARGV[5]), ARGV[6]
-- the smallest leads, in the others they are looked up
local set = KEYS[1]
for _, key in ipairs(KEYS) do
  if redis.call("ZCARD", key) < redis.call("ZCARD", set) then set = key end
end

local start
if after then
  local rank = redis.call(descending and "ZREVRANK" or "ZRANK", set, last)
  if rank then
    start = rank + 1
  elseif descending then
    start = redis.call("ZCOUNT", set, "(" .. ARGV[5], "+inf")
  else
    start = redis.call("ZCOUNT", set, "-inf", "(" .. ARGV[5])
  end
elseif descending then
  start = redis.call("ZCOUNT", set, "(" .. ARGV[3], "+inf")
else
  start = redis.call("ZCOUNT", set, "-inf", "(" .. ARGV[2])
end

local function in_all(id)
  for _, key in ipairs(KEYS) do
    if key ~= set and not redis.call("ZSCORE", key, id) then return false end
  end
  return true
end

-- Whether the page before had it: the one that it ended with is not there any more.
local function had(id, score)
  if not after or score ~= after then return false end
  if descending then return id >= last end
  return id <= last
end

local reply = { "", "" }
local found, looked = 0, 0
while true do
  local some = redis.call(descending and "ZREVRANGE" or "ZRANGE", set, start, start + STEP - 1, "WITHSCORES")
  for i = 1, #some, 2 do
    local id, score = some[i], tonumber(some[i + 1])
    if found >= count or looked >= MOST then return reply end
    if score < low or score > high then
      reply[1], reply[2] = "", ""
      return reply
    end
    looked = looked + 1
    if not had(id, score) and in_all(id) then
      found = found + 1
      reply[#reply + 1] = id
      reply[#reply + 1] = some[i + 1]
    end
    reply[1], reply[2] = some[i + 1], id
  end
  if #some < 2 * STEP then break end
  start = start + STEP
end
reply[1], reply[2] = "", ""
return reply
