-- Claims up to `count` jobs that can run, one group after the other. A call that is repeated is answered as it was.
-- On the way, claims of the worker that need their group's place no more leave it: they keep their lease.
-- KEYS[1]  room
-- ARGV     worker, call number, count, leaseMs, limit of groups that bring none (0: all bring theirs), seen: the highest
--          `seq` that the worker was told, limit of hosts (0: none), then of the claims that leave: id, token, id, token …
-- Returns  { ms that the leases stand, ms until something may be due, seq,
--          { id, token, group, gift, request, { state … }, host that is watched or "" } … }
local room = KEYS[1]
local worker, call, lease, limit = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local count = math.min(tonumber(ARGV[3]), 1000) -- as many as Lua's stack surely takes at once
local token = worker .. ":" .. call
local line, due, leases = room .. ":line", room .. ":due", room .. ":leases"
claiming = true
host_limit = tonumber(ARGV[7])

local last = redis.call("GET", room .. ":call:" .. worker)
if last and string.match(last, "^%S+") == call then
  local reply = { lease, 0, tonumber(redis.call("HGET", room, "seq") or "0") }
  for id in string.gmatch(last, " (%S+)") do
    local holder, _, group, host = claim_of(room, id)
    if holder == token then
      reply[1] = math.min(reply[1], redis.call("ZSCORE", leases, id) - now)
      local request, state = redis.call("GET", request_key(id)), redis.call("HGETALL", state_key(id))
      reply[#reply + 1] = { id, token, group, terms_of(room, group).gift, request, state, host }
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
    local group = string.match(claim, "^%S+ %S+ ([^%z]*)")
    if not seen[group] then
      seen[group] = true
      stand(room, group)
    end
  end
end

for i = 8, #ARGV, 2 do
  local holder, _, group, host = claim_of(room, ARGV[i])
  if holder == ARGV[i + 1] then
    redis.call("SADD", room .. ":left:" .. group, ARGV[i])
    leave_host(room, ARGV[i], host)
    advance(room, group)
  end
end

local closed, last_host_limit = closed_for(room, worker, ARGV[6], lease)
if closed > 0 then return { lease, closed, tonumber(ARGV[6]) } end
-- a host that was full stands up when the next of its jobs ends
if tonumber(last_host_limit or "0") ~= host_limit then redis.call("HSET", room, "host_limit", host_limit) end

-- What workers left behind goes back to its old place. A bounded number a call: the next one goes on.
for _, id in ipairs(redis.call("ZRANGEBYSCORE", leases, "-inf", now, "LIMIT", 0, 100)) do
  local _, score, group, host = claim_of(room, id)
  if group then
    release(room, id, group, host)
    redis.call("HINCRBY", state_key(id), "stalls", 1)
    pend(room, id, group, score)
    advance(room, group)
  else
    redis.call("ZREM", leases, id) -- data was lost: nobody else must suffer
  end
end

for _, who in ipairs(redis.call("ZRANGEBYSCORE", due, "-inf", now, "LIMIT", 0, 100)) do
  local host = string.match(who, "^%z(.*)$")
  local group, of_lane = lane_parts(who)
  if host then
    stand_host(room, host)
  elseif group then
    place_lane(room, group, of_lane)
  else
    stand(room, who)
  end
end

-- Whether any host is in trouble, or limited: else nobody asks which host a job is for.
local function watches_hosts()
  local latest = redis.call("ZRANGE", room .. ":hosts", -1, -1, "WITHSCORES")[2]
  if latest then
    redis.call("ZREMRANGEBYSCORE", room .. ":hosts", "-inf", now)
    redis.call("ZREMRANGEBYSCORE", room .. ":open", "-inf", now)
  end
  return host_limit > 0 or latest and tonumber(latest) > now
end
local watching = watches_hosts()

local reply = { lease, 0, 0 }
local ids, claims, expiries = {}, {}, {} -- flat, to be written in one go each
local places = {} -- by group
local moves = 300 -- so often a call finds nothing that starts, or lets a job wait for its host; the next one goes on
local tail = redis.call("ZREVRANGE", line, 0, 0, "WITHSCORES")[2] or 0

local function free_places(group)
  places[group] = places[group] or places_in(room, group)
  return places[group]
end

local function to_tail(who)
  tail = tail + 1
  redis.call("ZADD", line, tail, who)
end

local function start(id, score, request, group, host)
  if goes_round(room, group) then host = "" end
  redis.call("SADD", room .. ":claimed:" .. group, id)
  keep_pace(room, group)
  if host ~= "" then ask_host(room, host, id) end
  local watched = host == "" and "" or "\0" .. host .. "\0" .. now
  claims[#claims + 1], claims[#claims + 2] = id, token .. " " .. score .. " " .. group .. watched
  expiries[#expiries + 1], expiries[#expiries + 2] = now + lease, id
  ids[#ids + 1] = id
  places[group] = places[group] - 1
  local state = redis.call("HGETALL", state_key(id))
  if #state == 0 then
    state = { "created", score }
    redis.call("HSET", state_key(id), unpack(state))
  end
  reply[#reply + 1] = { id, token, group, terms_of(room, group).gift, request, state, host }
end

-- Starts the first job of a lane whose group and host let it, and lets the lane wait on where it waited.
local function start_of_lane(group, host, queue, member)
  local pending = room .. ":pending:" .. lane_of(group, host)
  local id, score = unpack(redis.call("ZPOPMIN", pending))
  if id then
    redis.call("HINCRBY", room .. ":waiting", group, -1)
    start(id, score, redis.call("GET", request_key(id)), group, host)
    local late = late_at(room, host)
    if late and late.group == group then forget_late(room, host) end
  end
  local head = redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
  if head and tonumber(head) <= now then
    redis.call("ZADD", queue, next_turn(queue), member)
  else
    place_lane(room, group, host)
  end
end

local function has_place(group) return free_places(group) > 0 and group_allows_from(room, group) <= now end

-- The group for which the host has to keep a place now, if there is one: it was passed over long ago, and only that it is
-- full, or its rate, keeps it.
local function late_group(host, queue)
  local late = late_at(room, host)
  if not late or late.from > now then return nil end
  local group, state = late.group, host_state(room, host)
  local waits = redis.call("ZSCORE", queue, group) or redis.call("ZSCORE", room .. ":lanes:" .. group, host)
  local in_time = group_allows_from(room, group) <= now + KEPT_MS and terms_of(room, group).limit > 0
  local scarce = host_limit > 0 or rate_of(state)
  local good = waits and tonumber(waits) > 0 and in_time and scarce and not state.opens
  if good and not goes_round(room, group) then return group end
  forget_late(room, host)
  return nil
end

local function keep_place(group, host, queue)
  local rate = rate_of(host_state(room, host)) -- of a host that has one nobody gets anything meanwhile
  local to = now + (rate and math.ceil(math.min(KEPT_MS, math.max(KEPT_MS / 10, 1000 / rate))) or KEPT_MS)
  note_late(room, host, group, to + REST_MS, to)
  if redis.call("ZSCORE", queue, group) then wait_for_group(room, group, host) end
  redis.call("ZADD", room .. ":lanes:" .. group, 1, host) -- before all others of its group
  stand_host(room, host)
end

local function serve_host(host)
  local queue = room .. ":queue:" .. host
  local from = host_allows_from(room, host)
  local group = from and from <= now and redis.call("ZRANGE", queue, 0, 0)[1]
  if not group then return stand_host(room, host) end
  local late = late_group(host, queue)
  if late and not (redis.call("ZSCORE", queue, late) and has_place(late)) then return keep_place(late, host, queue) end
  group = late or group
  if not has_place(group) then
    local known = late_at(room, host)
    local in_vain = known and known.group ~= group and known.to > 0 and known.to <= now
    if not known or in_vain then
      note_late(room, host, group, math.max(now + LATE_MS, in_vain and known.from or 0), 0)
    end
    return wait_for_group(room, group, host)
  end
  start_of_lane(group, host, queue, group)
  stand(room, group)
  stand_host(room, host)
  if redis.call("ZSCORE", line, "\0" .. host) then to_tail("\0" .. host) end
end

-- Whose turn it is in a group that has lanes: a host's, or the group's own, "".
local function turn_in(group)
  local lanes = room .. ":lanes:" .. group
  local host = redis.call("ZRANGEBYSCORE", lanes, 1, "+inf", "LIMIT", 0, 1)[1]
  if not host then return "" end -- data was lost: nobody else must suffer
  redis.call("ZADD", lanes, next_turn(lanes), host)
  return host
end

local function serve_lane(group, host)
  local from = goes_round(room, group) and 0 or host_allows_from(room, host, group)
  if from and from <= now then
    start_of_lane(group, host, room .. ":lanes:" .. group, host)
    stand_host(room, host)
  else
    wait_for_host(room, group, host)
  end
end

-- Starts the first of the jobs that are in no lane; moves those before it that have to wait. Not all of them at once, or
-- other groups would wait for that.
local function serve_own(group)
  local pending = room .. ":pending:" .. group
  for _ = 1, math.min(moves, 30) do
    local id, score = unpack(redis.call("ZPOPMIN", pending))
    if not id then return end
    local request = redis.call("GET", request_key(id))
    local host = watching and group ~= "" and host_asked(request) or ""
    if host ~= "" and host_limit == 0 and not host_state(room, host).known then host = "" end
    if host == "" or not must_wait(room, group, host) then
      start(id, score, request, group, host)
      if host ~= "" then stand_host(room, host) end
      return
    end
    moves = moves - 1
    move_to_lane(room, id, score, group, host)
    local head = redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
    if not head or tonumber(head) > now then return end
  end
end

local function serve_group(group)
  if free_places(group) <= 0 or pace_allows_from(room, group) > now then return stand(room, group) end
  local pending = room .. ":pending:" .. group
  if not terms_of(room, group).lanes then
    serve_own(group)
  else
    local turn = turn_in(group)
    local head = turn == "" and redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
    if turn ~= "" then
      serve_lane(group, turn)
    elseif head and tonumber(head) <= now then
      serve_own(group)
    end
  end

  local terms = terms_of(room, group)
  if terms.lanes or terms.interval then
    stand(room, group)
    if redis.call("ZSCORE", line, group) then to_tail(group) end
    return
  end
  local head = redis.call("ZRANGE", pending, 0, 0, "WITHSCORES")[2]
  if places[group] > 0 and head and tonumber(head) <= now then
    to_tail(group)
  else
    stand(room, group)
  end
end

while #ids < count and moves > 0 do
  local who = redis.call("ZRANGE", line, 0, 0)[1]
  if not who then break end
  local host, before = string.match(who, "^%z(.*)$"), #ids
  if host then serve_host(host) else serve_group(who) end
  if #ids == before then moves = moves - 1 end
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
