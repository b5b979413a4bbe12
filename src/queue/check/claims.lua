-- Compares what a room holds of claims: each has a lease, and counts in its group.
-- KEYS[1]  room
-- ARGV     "1" to mend, then ids of jobs
-- Returns  { id, what is wrong, id, what is wrong, … }
local room, mend = KEYS[1], ARGV[1] == "1"
local wrong = {}
local function find(id, what)
  wrong[#wrong + 1] = id
  wrong[#wrong + 1] = what
end

for i = 2, #ARGV do
  local id = ARGV[i]
  local _, _, group = claim_of(room, id)
  local lease = redis.call("ZSCORE", room .. ":leases", id)
  if group and not lease then
    find(id, "is claimed without a lease: nobody would ever get it back")
    if mend then redis.call("ZADD", room .. ":leases", now, id) end
  elseif lease and not group then
    find(id, "has a lease, but no claim")
    if mend then redis.call("ZREM", room .. ":leases", id) end
  end
  if group and redis.call("SISMEMBER", room .. ":claimed:" .. group, id) == 0 then
    find(id, "is claimed, but does not count against the limit of group " .. group)
    if mend then
      redis.call("SADD", room .. ":claimed:" .. group, id)
      stand(room, group)
    end
  end
end
return wrong
