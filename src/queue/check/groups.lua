-- Compares what a room holds of groups: that they are known, stand where they belong, and count only jobs that are claimed.
-- KEYS[1]  room
-- ARGV     "1" to mend, then names of groups
-- Returns  { group, what is wrong, group, what is wrong, … }
-- A limit that is missing cannot be known here: who mends sets it first.
local room, mend = KEYS[1], ARGV[1] == "1"
local wrong = {}
local function find(group, what)
  wrong[#wrong + 1] = group
  wrong[#wrong + 1] = what
end

for i = 2, #ARGV do
  local group = ARGV[i]
  local known = redis.call("HEXISTS", room .. ":groups", group) == 1
  local lanes = room .. ":lanes:" .. group
  local lives = redis.call("EXISTS", room .. ":pending:" .. group, room .. ":claimed:" .. group, lanes) > 0
  local position = redis.call("ZSCORE", room .. ":line", group)
  local due = redis.call("ZSCORE", room .. ":due", group)
  local found = #wrong

  for _, id in ipairs(redis.call("SMEMBERS", room .. ":claimed:" .. group)) do
    local _, _, holder = claim_of(room, id)
    if holder ~= group then
      find(group, "counts job " .. id .. ", which is not claimed in it")
      if mend then
        redis.call("SREM", room .. ":claimed:" .. group, id)
        redis.call("SREM", room .. ":left:" .. group, id)
      end
    end
  end
  for _, id in ipairs(redis.call("SDIFF", room .. ":left:" .. group, room .. ":claimed:" .. group)) do
    find(group, "lets job " .. id .. " count no more, which is not claimed in it")
    if mend then redis.call("SREM", room .. ":left:" .. group, id) end
  end

  if lives and not known then
    find(group, "has jobs, but no limit")
  elseif known and not lives then
    find(group, "is known, but has no jobs")
  elseif not lives and redis.call("HEXISTS", room .. ":holds", group) == 1 then
    find(group, "is held, but has no jobs")
  end

  if lives and known and terms_of(room, group).lanes ~= (redis.call("EXISTS", lanes) == 1) then
    find(group, "does not say whether it has lanes")
    if mend then note_lanes(room, group, redis.call("EXISTS", lanes) == 1) end
  end

  local at = startable_from(room, group)
  if not at and (position or due) then
    find(group, "is to be served, but cannot start anything")
  elseif at and position and due then
    find(group, "stands in the line, and is due later")
  elseif position and at > now and redis.call("HEXISTS", room, "opens") == 0 then -- while it is closed nobody looks
    find(group, "stands in the line before its first job is due")
  elseif at and not position and not due then
    find(group, "could start jobs, but nobody would ask it")
  elseif at and due and tonumber(due) > math.max(at, now) then
    find(group, "is due later than its first job")
  end
  if mend and #wrong > found then
    redis.call("ZREM", room .. ":line", group)
    redis.call("ZREM", room .. ":due", group)
    stand(room, group)
  end
end
return wrong
