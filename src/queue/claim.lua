-- Claims up to `count` jobs that can run, one group after the other. A call that is repeated is answered as it was.
-- On the way, claims of the worker that need their group's place no more leave it: they keep their lease.
-- KEYS[1]  room
-- ARGV     worker, call number, count, leaseMs, limit of groups that bring none (0: all bring theirs),
--          then of the claims that leave: id, token, id, token …
-- Returns  { now, ms until something may be due, { id, token, group, gift, request, { state … } } … }
local room = KEYS[1]
local worker, call, count, lease, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local token = worker .. ":" .. call
local line, due, leases = room .. ":line", room .. ":due", room .. ":leases"
local ids = {}

local function answer(idle)
  local reply = { now, idle }
  for _, id in ipairs(ids) do
    local _, _, group = claim_of(room, id)
    local gift = string.match(redis.call("HGET", room .. ":groups", group) or "0 ", "^%d+ (.*)$")
    reply[#reply + 1] =
      { id, token, group, gift, redis.call("GET", request_key(id)), redis.call("HGETALL", state_key(id)) }
  end
  return reply
end

local last = redis.call("GET", room .. ":call:" .. worker)
if last and string.match(last, "^%S+") == call then
  for id in string.gmatch(last, " (%S+)") do
    if claim_of(room, id) == token then ids[#ids + 1] = id end
  end
  return answer(0)
end

for i = 6, #ARGV, 2 do
  local holder, _, group = claim_of(room, ARGV[i])
  if holder == ARGV[i + 1] then
    redis.call("SADD", room .. ":left:" .. group, ARGV[i])
    stand(room, group)
  end
end

-- The limit that the workers bring changed: what was full may not be, and the other way round.
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

-- What workers left behind goes back to its old place. A bounded number a call: the next one goes on.
for _, id in ipairs(redis.call("ZRANGEBYSCORE", leases, "-inf", now, "LIMIT", 0, 100)) do
  local _, score, group = claim_of(room, id)
  release(room, id, group)
  redis.call("HINCRBY", state_key(id), "stalls", 1)
  redis.call("ZADD", room .. ":pending:" .. group, score, id)
  stand(room, group)
end

for _, group in ipairs(redis.call("ZRANGEBYSCORE", due, "-inf", now, "LIMIT", 0, 100)) do
  stand(room, group)
end

while #ids < count do
  local group = redis.call("ZRANGE", line, 0, 0)[1]
  if not group then break end
  -- to the tail before it is served: a line that was not empty meanwhile wakes nobody
  redis.call("ZADD", line, redis.call("ZREVRANGE", line, 0, 0, "WITHSCORES")[2] + 1, group)
  if has_room(room, group) then
    local head = redis.call("ZPOPMIN", room .. ":pending:" .. group)
    local id = head[1]
    redis.call("HSET", room .. ":claims", id, token .. " " .. head[2] .. " " .. group)
    redis.call("SADD", room .. ":claimed:" .. group, id)
    redis.call("ZADD", leases, now + lease, id)
    if redis.call("EXISTS", state_key(id)) == 0 then redis.call("HSET", state_key(id), "created", head[2]) end
    ids[#ids + 1] = id
  end
  stand(room, group)
end

if #ids > 0 then
  redis.call("SET", room .. ":call:" .. worker, call .. " " .. table.concat(ids, " "), "PX", lease * 2)
end

local idle = -1
local function consider(set)
  local first = redis.call("ZRANGE", set, 0, 0, "WITHSCORES")[2]
  if first then
    local ms = math.max(0, first - now)
    if idle < 0 or ms < idle then idle = ms end
  end
end
if redis.call("EXISTS", line) == 1 then
  idle = 0
else
  consider(due)
  consider(leases)
end
return answer(idle)
