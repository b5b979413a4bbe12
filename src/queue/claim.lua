-- Claims up to `count` jobs that can run, one group after the other. A call that is repeated is answered as it was.
-- On the way, claims of the worker that need their group's place no more leave it: they keep their lease.
-- KEYS[1]  room
-- ARGV     worker, call number, count, leaseMs, limit of groups that bring none (0: all bring theirs), seen: the highest
--          `seq` that the worker was told, then of the claims that leave: id, token, id, token …
-- Returns  { ms that the leases stand, ms until something may be due, seq,
--          { id, token, group, gift, request, { state … } } … }
local room = KEYS[1]
local worker, call, lease, limit = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local count = math.min(tonumber(ARGV[3]), 1000) -- as many as Lua's stack surely takes at once
local token = worker .. ":" .. call
local line, due, leases = room .. ":line", room .. ":due", room .. ":leases"
claiming = true

local function gift_of(group)
  return string.match(redis.call("HGET", room .. ":groups", group) or "0 ", "^%d+ (.*)$")
end

local last = redis.call("GET", room .. ":call:" .. worker)
if last and string.match(last, "^%S+") == call then
  local reply = { lease, 0, tonumber(redis.call("HGET", room, "seq") or "0") }
  for id in string.gmatch(last, " (%S+)") do
    local holder, _, group = claim_of(room, id)
    if holder == token then
      reply[1] = math.min(reply[1], redis.call("ZSCORE", leases, id) - now)
      reply[#reply + 1] =
        { id, token, group, gift_of(group), redis.call("GET", request_key(id)), redis.call("HGETALL", state_key(id)) }
    end
  end
  return reply
end

-- First of all, for limits are read once: the limit that the workers bring may have changed.
-- Then what was full may not be, and the other way round.
if limit > 0 and redis.call("HGET", room, "limit") ~= ARGV[5] then
  redis.call("HSET", room, "limit", limit)
  local seen = {}
  for _, claim in ipairs(redis.call("HVALS", room .. ":claims")) do
    local group = string.match(claim, "^%S+ %S+ (.*)$")
    if not seen[group] then
      seen[group] = true
      stand(room, group)
    end
  end
end

for i = 7, #ARGV, 2 do
  local holder, _, group = claim_of(room, ARGV[i])
  if holder == ARGV[i + 1] then
    redis.call("SADD", room .. ":left:" .. group, ARGV[i])
    advance(room, group)
  end
end

local closed = closed_for(room, worker, ARGV[6], lease)
if closed > 0 then return { lease, closed, tonumber(ARGV[6]) } end

-- What workers left behind goes back to its old place. A bounded number a call: the next one goes on.
for _, id in ipairs(redis.call("ZRANGEBYSCORE", leases, "-inf", now, "LIMIT", 0, 100)) do
  local _, score, group = claim_of(room, id)
  if group then
    release(room, id, group)
    redis.call("HINCRBY", state_key(id), "stalls", 1)
    pend(room, id, group, score)
    advance(room, group)
  else
    redis.call("ZREM", leases, id) -- data was lost: nobody else must suffer
  end
end

for _, group in ipairs(redis.call("ZRANGEBYSCORE", due, "-inf", now, "LIMIT", 0, 100)) do
  stand(room, group)
end

local reply = { lease, 0, 0 }
local ids, claims, expiries = {}, {}, {} -- flat, to be written in one go each
local places, gifts = {}, {} -- by group
local tail = redis.call("ZREVRANGE", line, 0, 0, "WITHSCORES")[2] or 0
while #ids < count do
  local group = redis.call("ZRANGE", line, 0, 0)[1]
  if not group then break end
  local pending = room .. ":pending:" .. group
  places[group] = places[group] or places_in(room, group)
  local id, score
  if places[group] > 0 then id, score = unpack(redis.call("ZPOPMIN", pending)) end
  if id then
    redis.call("SADD", room .. ":claimed:" .. group, id)
    claims[#claims + 1], claims[#claims + 2] = id, token .. " " .. score .. " " .. group
    expiries[#expiries + 1], expiries[#expiries + 2] = now + lease, id
    ids[#ids + 1] = id
    places[group] = places[group] - 1
    gifts[group] = gifts[group] or gift_of(group)
    local state = redis.call("HGETALL", state_key(id))
    if #state == 0 then
      state = { "created", score }
      redis.call("HSET", state_key(id), unpack(state))
    end
    reply[#reply + 1] = { id, token, group, gifts[group], redis.call("GET", request_key(id)), state }
  end
  local head = redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
  if places[group] > 0 and head and tonumber(head) <= now then
    tail = tail + 1
    redis.call("ZADD", line, tail, group)
  else
    stand(room, group)
  end
end
if #ids > 0 then
  redis.call("HINCRBY", room, "pending", -#ids)
  reply[3] = redis.call("HINCRBY", room, "seq", 1)
  redis.call("HSET", room .. ":claims", unpack(claims))
  redis.call("ZADD", leases, unpack(expiries))
  redis.call("SET", room .. ":call:" .. worker, call .. " " .. table.concat(ids, " "), "PX", lease * 2)
end

if redis.call("EXISTS", line) == 0 then
  -- nothing until the first due time or the end of the first lease, whichever comes first
  local first = redis.call("ZRANGE", due, 0, 0, "WITHSCORES")[2]
  local lost = redis.call("ZRANGE", leases, 0, 0, "WITHSCORES")[2]
  local at = first and lost and math.min(first, lost) or first or lost
  reply[2] = at and math.max(0, at - now) or -1
  -- whoever sleeps until the end of a lease knows of none that ends before those of this call
  if tonumber(lost) ~= now + lease then unannounced = false end
end
if unannounced then ring(room) end
return reply
