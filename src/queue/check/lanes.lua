-- Compares what a room holds of lanes and of hosts: a lane has jobs, is known to its group, and waits for one thing; a
-- host for which lanes wait is asked when it may be.
-- KEYS[1]  room
-- ARGV     "1" to mend, then lanes, and "\0<host>" for hosts
-- Returns  { lane or host, what is wrong, lane or host, what is wrong, … }
local room, mend = KEYS[1], ARGV[1] == "1"
local wrong = {}
local function find(who, what)
  wrong[#wrong + 1] = who
  wrong[#wrong + 1] = what
end

local function check_host(who, host)
  local waiting = redis.call("EXISTS", room .. ":queue:" .. host) == 1
  local at = waiting and host_allows_from(room, host)
  local position, due = redis.call("ZSCORE", room .. ":line", who), redis.call("ZSCORE", room .. ":due", who)
  local found = #wrong
  for _, id in ipairs(redis.call("SMEMBERS", room .. ":running:" .. host)) do
    local _, _, _, asked = claim_of(room, id)
    if asked ~= host then
      find(who, "counts job " .. id .. ", which is not claimed for it")
      if mend then redis.call("SREM", room .. ":running:" .. host, id) end
    end
  end
  if not waiting and (position or due) then
    find(who, "is to be asked, but no lane waits for it")
  elseif position and due then
    find(who, "stands in the line, and is due later")
  elseif at and not position and not due and redis.call("SCARD", room .. ":running:" .. host) == 0 then
    find(who, "could be asked, but nobody would")
  elseif at and due and tonumber(due) > math.max(at, now) then
    find(who, "is due later than it may be asked")
  end
  if mend and #wrong > found then
    put(room, who, nil)
    stand_host(room, host)
  end
end

local function check_lane(lane, group, host)
  local lanes = room .. ":lanes:" .. group
  local first = redis.call("ZRANGE", room .. ":pending:" .. lane, 0, 0, "WITHSCORES")[2]
  local position = redis.call("ZSCORE", lanes, host)
  local due, queued = redis.call("ZSCORE", room .. ":due", lane), redis.call("ZSCORE", room .. ":queue:" .. host, group)
  local waits = (due and 1 or 0) + (queued and 1 or 0) + (position and tonumber(position) > 0 and 1 or 0)
  local found = #wrong
  if first and not position then
    find(lane, "has jobs, but its group does not know it")
    if mend then
      redis.call("ZADD", lanes, "NX", 1, "")
      redis.call("ZADD", lanes, 0, host)
      note_lanes(room, group, true)
    end
  elseif not first and (position or waits > 0) then
    find(lane, "has no jobs")
  elseif first and waits == 0 then
    find(lane, "waits for nothing, so nobody would ask it")
  elseif waits > 1 then
    find(lane, "waits in " .. waits .. " places")
  elseif due and tonumber(due) > math.max(now, tonumber(first), held_until(room, group, host)) then
    find(lane, "is due later than its first job")
  end
  if mend and #wrong > found then
    place_lane(room, group, host)
    stand(room, group)
    stand_host(room, host)
  end
end

for i = 2, #ARGV do
  local who = ARGV[i]
  local host = string.match(who, "^%z(.*)$")
  if host then check_host(who, host) else check_lane(who, lane_parts(who)) end
end
return wrong
