-- Where jobs are.
-- KEYS[1]  totals
-- ARGV     JSON: [[id, [[room, group], …]], …], with all places of a room where the job could be; then the reasons to rest
-- Returns  for each job { 1 when it has a record, place, place, … }, a place as "pending room group", "claimed room group"
--          or "rest reason"
local base = string.match(KEYS[1], "^%b{}:")
local reply = {}
for _, job in ipairs(cjson.decode(ARGV[1])) do
  local id, spots = unpack(job)
  local places = { redis.call("EXISTS", base .. "request:" .. id, base .. "state:" .. id) > 0 and 1 or 0 }
  for _, spot in ipairs(spots) do
    local name, group = unpack(spot)
    local where = " " .. name .. " " .. group
    if redis.call("ZSCORE", base .. name .. ":pending:" .. group, id) then places[#places + 1] = "pending" .. where end
    if redis.call("SISMEMBER", base .. name .. ":claimed:" .. group, id) == 1 then
      places[#places + 1] = "claimed" .. where
    end
  end
  for i = 2, #ARGV do
    if redis.call("ZSCORE", base .. "rest:" .. ARGV[i], id) then places[#places + 1] = "rest " .. ARGV[i] end
  end
  reply[#reply + 1] = places
end
return reply
